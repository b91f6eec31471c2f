package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

const (
	// checkPause is how long after an event that may have lost messages the
	// channels are compared with the leader, and recheckPause how long after that
	// once more.
	checkPause   = 250 * time.Millisecond
	recheckPause = 600 * time.Millisecond
	// checkInterval is how often all watched channels are compared anyway.
	checkInterval = 30 * time.Second
	checksAtOnce  = 16
)

// checker finds the loss that no successor reveals: it compares the channels
// with the stream's leader after a change of leader, after a reconnect, shortly
// after a channel was opened, and now and then. So it finds what was erased.
type checker struct {
	hub    *Hub
	opened chan *Channel
	all    chan struct{}

	mu      sync.Mutex
	extents map[string]extent // of the streams, at the last look
	ends    map[string]uint64 // numbers that they have reached
}

func newChecker(h *Hub) *checker {
	return &checker{hub: h, opened: make(chan *Channel, 1024), all: make(chan struct{}, 1), extents: make(map[string]extent), ends: make(map[string]uint64)}
}

// soon has one channel checked a moment after it was opened. When too many are
// waiting it is left to the next check of all.
func (c *checker) soon(ch *Channel) {
	select {
	case c.opened <- ch:
	default:
		c.everything()
	}
}

// everything has all channels checked.
func (c *checker) everything() {
	select {
	case c.all <- struct{}{}:
	default:
	}
}

// advisory is the subject of what happens to a stream: it has another leader, or
// was made, changed, put back or removed.
const advisory = "$JS.EVENT.ADVISORY.STREAM."

func (c *checker) run(ctx context.Context) {
	for _, what := range []string{"LEADER_ELECTED", "CREATED", "UPDATED", "RESTORE_COMPLETE", "DELETED"} {
		told, err := c.hub.Bus.Live.Subscribe(advisory+what+".*", func(*nats.Msg) { c.everything() })
		if err != nil {
			c.hub.log.Error("watch streams", "error", err)
			continue
		}
		defer func() { _ = told.Unsubscribe() }()
	}
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ch := <-c.opened:
			if err := c.check(ctx, append(c.drain(ctx), ch), nil, false); err != nil && ctx.Err() == nil {
				c.hub.log.Warn("check of new channels", "error", err)
			}
		case <-c.all:
			c.sweep(ctx, true)
			if Pause(ctx, recheckPause) {
				c.sweep(ctx, false)
			}
		case <-ticker.C:
			c.sweep(ctx, false)
		}
	}
}

// drain waits a moment and takes the channels that were opened meanwhile.
func (c *checker) drain(ctx context.Context) []*Channel {
	Pause(ctx, checkPause)
	var channels []*Channel
	for {
		select {
		case ch := <-c.opened:
			channels = append(channels, ch)
		default:
			return channels
		}
	}
}

func (c *checker) sweep(ctx context.Context, thorough bool) {
	if err := c.settle(ctx, thorough); err != nil && ctx.Err() == nil {
		c.hub.log.Warn("check of channels", "error", err)
	}
	if c.hub.absent.Load() != nil && Pause(ctx, recheckPause) {
		c.everything() // until somebody has made it anew
	}
}

// settle makes every watched channel whole: it returns when each has been
// compared with its stream's leader. After what may have cost a stream its tail,
// thorough, channels whose stream cannot prove its past are looked at one by one.
func (c *checker) settle(ctx context.Context, thorough bool) error {
	channels := c.hub.watched()
	streams, err := c.streams(ctx, channels, thorough)
	if err != nil {
		return err
	}
	group, all := errgroup.WithContext(ctx)
	group.SetLimit(checksAtOnce)
	for _, ch := range channels {
		found, known := streams[ch.kind.Stream]
		if !known || !ch.Durable() {
			continue
		}
		group.Go(func() error {
			if found.doubtful {
				if err := ch.doubt(all); err != nil {
					return err
				}
			}
			return ch.adopt(all, found.Epoch)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := c.forgetErased(ctx, streams); err != nil {
		return err
	}
	if err := c.hub.rights.settle(ctx); err != nil {
		return err
	}
	return c.check(ctx, channels, streams, thorough)
}

// seen is what a look at a stream found.
type seen struct {
	history.Stream
	doubtful bool // its past may not be the one that was seen here
}

// streams looks at all streams of facts, and whether those of some channels still
// hold what was the newest message seen of them.
func (c *checker) streams(ctx context.Context, channels []*Channel, thorough bool) (map[string]seen, error) {
	newest := make(map[string]history.Position)
	for _, kind := range c.hub.kinds {
		if kind.Durability == subjects.Durable {
			newest[kind.Stream] = history.Position{}
		}
	}
	for _, ch := range channels {
		if ch.Durable() {
			ch.mu.Lock()
			if place := ch.head(); place.Sequence > newest[ch.kind.Stream].Sequence {
				newest[ch.kind.Stream] = place
			}
			ch.mu.Unlock()
		}
	}
	found := make(map[string]seen, len(newest))
	for stream, place := range newest {
		look, err := c.look(ctx, stream, place, thorough)
		if errors.Is(err, history.ErrStream) {
			c.hub.absent.Store(&stream)
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", stream, err)
		}
		found[stream] = look
	}
	c.hub.absent.Store(nil)
	return found, nil
}

// look looks at a stream, of which a message at a place was seen.
func (c *checker) look(ctx context.Context, stream string, place history.Position, thorough bool) (seen, error) {
	described, err := history.Describe(ctx, c.hub.Bus.Live, stream)
	look := seen{Stream: described, doubtful: described.Last < place.Sequence}
	if err == nil {
		c.reach(stream, described.Last)
	}
	if err != nil || look.doubtful || place.Sequence == 0 {
		return look, err
	}
	message, there, err := history.Message(ctx, c.hub.Bus.Live, stream, place.Sequence)
	look.doubtful = doubts(described, place, message, there, thorough)
	return look, err
}

// doubts says whether the past of a stream may not be the one in which a place was
// seen, whose message is there now, or not.
func doubts(stream history.Stream, place history.Position, message history.Fact, there, thorough bool) bool {
	if stream.Last < place.Sequence || place.Sequence == 0 {
		return place.Sequence > 0
	}
	return thorough && !there || there && !place.At.IsZero() && !message.Time.Equal(place.At)
}

// reached says whether a stream has come to a number. It is asked only about one that
// is newer than the last look.
func (c *checker) reached(ctx context.Context, stream string, sequence uint64) (bool, error) {
	c.mu.Lock()
	end := c.ends[stream]
	c.mu.Unlock()
	if sequence <= end {
		return true, nil
	}
	described, err := history.Describe(ctx, c.hub.Bus.Publish, stream)
	if err != nil {
		return false, err
	}
	c.reach(stream, described.Last)
	return sequence <= described.Last, nil
}

// reach takes the number that a stream has reached; 0 when that is in doubt.
func (c *checker) reach(stream string, sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[stream] = sequence
}

// check compares channels with their streams' leaders, which were looked at
// before, or not.
func (c *checker) check(ctx context.Context, channels []*Channel, streams map[string]seen, thorough bool) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checksAtOnce)
	for _, ch := range channels {
		if ch.Durable() {
			group.Go(func() error {
				newest, err := history.Newest(ctx, c.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event())
				if err != nil {
					return fmt.Errorf("check %s: %w", ch.Name, err)
				}
				if ch.compare(newest, streams[ch.kind.Stream].Stream, thorough) {
					return ch.doubt(ctx)
				}
				return nil
			})
		}
		group.Go(func() error { return ch.Reload(ctx) })
	}
	return group.Wait()
}
