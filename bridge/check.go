package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

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
// after a channel was opened, and now and then.
type checker struct {
	hub    *hub
	opened chan *channel
	all    chan struct{}
}

func newChecker(h *hub) *checker {
	return &checker{hub: h, opened: make(chan *channel, 1024), all: make(chan struct{}, 1)}
}

// soon has one channel checked a moment after it was opened. When too many are
// waiting it is left to the next check of all.
func (c *checker) soon(ch *channel) {
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

// leaderElected is the advisory of a stream's new leader.
const leaderElected = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.*"

func (c *checker) run(ctx context.Context) {
	elected, err := c.hub.bus.Live.Subscribe(leaderElected, func(*nats.Msg) { c.everything() })
	if err != nil {
		c.hub.log.Error("watch leaders", "error", err)
	} else {
		defer func() { _ = elected.Unsubscribe() }()
	}
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ch := <-c.opened:
			if err := c.check(ctx, append(c.drain(ctx), ch)); err != nil && ctx.Err() == nil {
				c.hub.log.Warn("check of new channels", "error", err)
			}
		case <-c.all:
			c.sweep(ctx)
			if pause(ctx, recheckPause) {
				c.sweep(ctx)
			}
		case <-ticker.C:
			c.sweep(ctx)
		}
	}
}

// drain waits a moment and takes the channels that were opened meanwhile.
func (c *checker) drain(ctx context.Context) []*channel {
	pause(ctx, checkPause)
	var channels []*channel
	for {
		select {
		case ch := <-c.opened:
			channels = append(channels, ch)
		default:
			return channels
		}
	}
}

func (c *checker) sweep(ctx context.Context) {
	if err := c.settle(ctx); err != nil && ctx.Err() == nil {
		c.hub.log.Warn("check of channels", "error", err)
	}
}

// settle makes every watched channel whole: it returns when each has been
// compared with its stream's leader.
func (c *checker) settle(ctx context.Context) error {
	channels := c.hub.watched()
	epochs := make(map[string]string)
	for _, ch := range channels {
		if _, known := epochs[ch.kind.Stream]; known || !ch.durable() {
			continue
		}
		epoch, err := c.hub.epoch(ctx, ch.kind.Stream)
		if err != nil {
			return err
		}
		epochs[ch.kind.Stream] = epoch
	}
	for _, ch := range channels {
		if epoch := epochs[ch.kind.Stream]; ch.durable() {
			if err := ch.renew(ctx, epoch); err != nil {
				return err
			}
		}
	}
	if err := c.hub.leases.refreshAll(ctx); err != nil {
		return err
	}
	return c.check(ctx, channels)
}

func (c *checker) check(ctx context.Context, channels []*channel) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(checksAtOnce)
	for _, ch := range channels {
		if ch.durable() {
			group.Go(func() error {
				last, err := history.Last(ctx, c.hub.bus.Replay, ch.kind.Stream, ch.name.Event())
				if err != nil {
					return fmt.Errorf("check %s: %w", ch.name, err)
				}
				ch.behind(last)
				return nil
			})
		}
		group.Go(func() error { return ch.reload(ctx) })
	}
	return group.Wait()
}

// epoch asks the stream's leader for its identity.
func (h *hub) epoch(ctx context.Context, stream string) (string, error) {
	described, err := history.Describe(ctx, h.bus.Live, stream)
	return described.Epoch, err
}
