package hub

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// Channel is one watched channel on this node: a contiguous tail of its facts,
// fed by one core subscription, and the cursors of who watches it.
type Channel struct {
	hub  *Hub
	Name subjects.Channel

	opened chan struct{} // closed when open has ended
	failed error         // why it could not be opened; set before opened is closed

	refs int   // who uses or is about to use it; guarded by hub.mu
	idle int64 // hub ticks since refs became 0; guarded by hub.mu

	mu sync.Mutex
	state
	anew    chan struct{}            // while it begins anew: closed when it has begun
	loading map[uint64]chan struct{} // by the sequence behind which a page is read; closed when loaded
	cursors [][]*Cursor
	queued  []bool // per flusher: it knows that there is something new

	presenceLoaded chan struct{} // closed when presence is complete
	reloads        sync.Mutex    // one snapshot of presence at a time
}

// open makes the channel's tail begin at the leader's watermark. The feed is
// subscribed first, so nothing falls between the watermark and what follows.
func (ch *Channel) open(ctx context.Context) error {
	if err := ch.hub.Watch(ch); err != nil {
		return fmt.Errorf("watch %s: %w", ch.Name, err)
	}
	if !ch.Durable() {
		return nil
	}
	// On the connection of the subscription, so that the server has seen it first.
	described, err := history.Describe(ctx, ch.hub.Bus.Live, ch.kind.Stream)
	if err != nil {
		return err
	}
	watermark, fact, err := history.Watermark(ctx, history.On(ch.hub.Bus.Live, ch.kind.Stream), ch.Name.Event())
	if err != nil {
		return err
	}
	var ended []*entry
	if fact {
		if ended, err = ch.endedLately(ctx, watermark); err != nil {
			return err
		}
	}
	ch.mu.Lock()
	defer ch.unlock()
	ch.epoch = described.Epoch
	ch.beginAt(watermark, fact)
	ch.ring.ended = append(ended, ch.ring.ended...)
	return nil
}

// isOpen says whether the channel has been opened, with success or not.
func (ch *Channel) isOpen() bool {
	select {
	case <-ch.opened:
		return true
	default:
		return false
	}
}

// Newest is the number up to which every fact is known here.
func (ch *Channel) Newest() uint64 {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.ring.last
}

// unlock lets the lock go, when what the steps that were taken under it have left to be
// done is done.
func (ch *Channel) unlock() {
	ch.carryOut()
	ch.mu.Unlock()
}

// carryOut does what steps have left to be done. The lock is held.
func (ch *Channel) carryOut() {
	for ch.out.unusual() {
		ch.carryOutUnusual()
	}
	if ch.out.changed {
		ch.out.changed = false
		ch.markDirty()
	}
}

// carryOutUnusual is what an event as usual does not need.
func (ch *Channel) carryOutUnusual() {
	out := ch.takeOut()
	ch.hub.metrics.gaps.Add(float64(out.gaps))
	ch.hub.metrics.skipped.Add(float64(out.skipped))
	if out.begin {
		ch.begin()
	}
	if out.begun {
		ch.begun()
	}
	for _, e := range out.ended {
		ch.end(e)
	}
	if out.heal {
		ch.hub.metrics.heals.Inc()
		life := ch.life
		ch.hub.Start(func(ctx context.Context) { ch.readMissing(ctx, life) })
	}
	for _, after := range out.loads {
		ch.load(after)
	}
	for _, reader := range out.doubts {
		ch.hub.Doubt(ch.Name, reader)
	}
}

// ingest takes a fact from the feed, and the sequence of the channel's fact before it.
func (ch *Channel) ingest(e *entry, previous uint64) {
	ch.mu.Lock()
	defer ch.unlock()
	if ch.hub.Degraded.Load() && !ch.healing && e.sequence > ch.ring.last { // the bus may not be the one that it was
		ch.suspect = true
		ch.heal()
	}
	ch.take(e, previous)
}

// broadcast takes a live event or a change of presence.
func (ch *Channel) broadcast(e *entry) {
	ch.mu.Lock()
	defer ch.unlock()
	ch.append(e)
}

// compare takes the newest fact that the stream's leader knew, see [state.measure].
func (ch *Channel) compare(newest history.Position, stream history.Stream, thorough bool) (doubtful bool) {
	ch.mu.Lock()
	defer ch.unlock()
	return ch.measure(newest, stream, thorough)
}

// Attach lets a cursor take part. It must not be touched by its reader again.
func (ch *Channel) Attach(c *Cursor) {
	ch.mu.Lock()
	defer ch.unlock()
	if c.stage != placed {
		return
	}
	c.stage = attached
	if c.life != ch.life {
		c.startOver()
	}
	c.stopAt(cmp.Or(c.stop, ch.ring.end(c.member)))
	list := &ch.cursors[c.outlet.flusher.index]
	c.slot = len(*list)
	*list = append(*list, c)
	c.outlet.Flush() // whose cursors alone have something before them
}

// Detach ends a cursor's part. It may be called again.
func (ch *Channel) Detach(c *Cursor) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.drop(c)
}

// drop is detach for who holds the lock.
func (ch *Channel) drop(c *Cursor) {
	was := c.stage
	c.stage = dropped
	if was != attached {
		return
	}
	list := ch.cursors[c.outlet.flusher.index]
	last := len(list) - 1
	list[c.slot] = list[last]
	list[c.slot].slot = c.slot
	list[last] = nil
	ch.cursors[c.outlet.flusher.index] = list[:last]
}

// markDirty tells the flushers that have cursors here. The lock is held.
func (ch *Channel) markDirty() {
	for i := range ch.cursors {
		ch.markDirtyFor(i)
	}
}

func (ch *Channel) markDirtyFor(i int) {
	if !ch.queued[i] && len(ch.cursors[i]) > 0 {
		ch.queued[i] = true
		ch.hub.flushers[i].channel(ch)
	}
}

// Followers lists the readers of a user, or of everyone, that follow the channel.
func (ch *Channel) Followers(user string) []Reader {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	var readers []Reader
	for _, cursors := range ch.cursors {
		for _, c := range cursors {
			if user == everyone || c.User == user {
				readers = append(readers, c.outlet.reader)
			}
		}
	}
	return readers
}
