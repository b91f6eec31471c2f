package hub

import (
	"cmp"
	"context"
	"fmt"
	"sync"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// heldEvents bounds the live facts that a channel keeps back while it is healed.
// Beyond it they are dropped: the healing reads them from the stream.
const heldEvents = 4096

// Channel is one watched channel on this node: a contiguous tail of its facts,
// fed by one core subscription, and the cursors of who watches it.
type Channel struct {
	hub   *Hub
	Name  subjects.Channel
	label string // its name, once for all events
	kind  subjects.Kind

	opened chan struct{} // closed when open has ended
	failed error         // why it could not be opened; set before opened is closed

	refs int   // who uses or is about to use it; guarded by hub.mu
	idle int64 // hub ticks since refs became 0; guarded by hub.mu

	mu       sync.Mutex
	epoch    string
	told     bool             // it began anew under the same epoch
	life     int              // grows when the channel begins anew, and all that was read before is moot
	anew     chan struct{}    // while it begins anew: closed when it has begun
	oldest   history.Position // behind which it began, when it last began anew
	ring     ring
	chunks   []chunk
	pages    pages
	erasures int        // grows when what was removed from the stream is forgotten
	healing  bool       // facts are held back: until open has ended, and while some are missing
	suspect  bool       // a fact came that may be of another past
	held     []heldFact // facts that wait for the healing to reach them
	target   uint64     // newest fact known to exist
	cursors  [][]*Cursor
	queued   []bool // per flusher: it knows that there is something new
	presence *presenceSet

	presenceLoaded chan struct{} // closed when presence is complete
	reloads        sync.Mutex    // one snapshot of presence at a time
}

type heldFact struct {
	entry    *entry
	previous uint64
}

// Durable says whether the channel's events are stored.
func (ch *Channel) Durable() bool { return ch.kind.Durability == subjects.Durable }

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
	watermark, fact, err := history.Watermark(ctx, ch.hub.Bus.Live, ch.kind.Stream, ch.Name.Event())
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
	defer ch.mu.Unlock()
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

// beginAt makes the tail begin at a watermark. The lock is held.
func (ch *Channel) beginAt(watermark history.Position, fact bool) {
	ch.ring.reset(watermark, fact)
	if !ch.release() {
		ch.heal()
	}
}

// head is where a reader that has everything stands. The lock is held.
func (ch *Channel) head() history.Position {
	return history.Position{Epoch: ch.epoch, Sequence: ch.ring.last, At: ch.ring.lastAt}
}

// Newest is the number up to which every fact is known here.
func (ch *Channel) Newest() uint64 {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.ring.last
}

// position is a place in the channel as it is told. The lock is held.
func (ch *Channel) position(place history.Position) wire.Position {
	place.Epoch = ch.epoch
	return wire.Position(place)
}

// gap tells of facts that are gone; the reader goes on behind after.
func (ch *Channel) gap(missing history.Range, after history.Position) wire.Gap {
	ch.hub.metrics.gaps.Inc()
	return wire.Gap{Channel: ch.label, From: missing.From, To: missing.To, Position: ch.position(after)}
}

// ingest takes a fact from the feed. previous is the sequence of the channel's
// fact before it, 0 when there is none. If it is not proven that it follows on the
// newest one here, some may be missing, and are read before this fact is let through;
// or the stream has another past than the one seen here, which the reading finds out.
// So it does when a fact comes later than one with a higher number.
func (ch *Channel) ingest(e *entry, previous uint64) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	switch {
	case e.sequence > ch.ring.last && !ch.healing && ch.ring.follows(e.sequence, previous):
		ch.append(e)
		return
	case e.sequence > ch.ring.last:
		ch.hold(heldFact{e, previous})
	case e.stored.After(ch.ring.lastAt):
		ch.suspect = true
	default:
		return
	}
	if !ch.healing {
		ch.heal()
	}
}

// broadcast takes a live event or a change of presence.
func (ch *Channel) broadcast(e *entry) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.append(e)
}

func (ch *Channel) append(e *entry) {
	ch.setEpoch(e)
	ch.ring.append(e)
	ch.chunks = ch.chunks[:0]
	if e.ends.Any() {
		ch.end(e)
	}
	ch.markDirty()
}

// setEpoch sets the epoch of a gap that stands in a fact's place. The lock is held.
func (ch *Channel) setEpoch(e *entry) {
	if gap, ok := e.notice.(wire.Gap); ok {
		gap.Position.Epoch = ch.epoch
		e.notice = gap
	}
}

func (ch *Channel) hold(fact heldFact) {
	ch.target = max(ch.target, fact.entry.sequence)
	if len(ch.held) >= heldEvents {
		clear(ch.held)
		ch.held = ch.held[:0]
	}
	ch.held = append(ch.held, fact)
}

// compare takes the newest fact that the stream's leader knew, and what the stream
// was when it was looked at before, if it was. A fact that did not come is read. It
// says whether the channel may have seen a past that is gone; or, when it is asked
// thoroughly, missed facts that are: its own newest one is not there any more.
func (ch *Channel) compare(newest history.Position, stream history.Stream, thorough bool) (doubtful bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ring := &ch.ring
	switch {
	case newest.Sequence > ring.last:
		ch.target = max(ch.target, newest.Sequence)
		if !ch.healing {
			ch.heal()
		}
		return false
	case newest.Sequence < ring.fact:
		return thorough
	case newest.Sequence > ring.fact:
		return true
	case ring.fact == ring.last && ring.fact > 0 && !newest.At.Equal(ring.lastAt):
		return !ring.lastAt.IsZero()
	}
	if !ch.healing && stream.Deleted == 0 && stream.First <= ring.last+1 {
		ring.reach(stream.End()) // nothing was removed from there on
	}
	return false
}

// heal reads what is missing up to target, in the background. The lock is held.
func (ch *Channel) heal() {
	ch.healing = true
	ch.hub.metrics.heals.Inc()
	life := ch.life
	ch.hub.Start(func(ctx context.Context) { ch.readMissing(ctx, life) })
}

// release lets the held facts through and says whether the channel is whole.
// The lock is held.
func (ch *Channel) release() bool {
	held := ch.held
	ch.held = nil
	for i, fact := range held {
		if fact.entry.sequence <= ch.ring.last {
			continue
		}
		if !ch.ring.follows(fact.entry.sequence, fact.previous) {
			ch.held = held[i:]
			ch.healing = true
			return false
		}
		ch.append(fact.entry)
	}
	ch.healing = ch.target > ch.ring.last || ch.suspect
	return !ch.healing
}

// Attach lets a cursor take part. It must not be touched by its reader again.
func (ch *Channel) Attach(c *Cursor) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
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
