package bridge

import (
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

// channel is one watched channel on this node: a contiguous tail of its facts,
// fed by one core subscription, and the cursors of who watches it.
type channel struct {
	hub   *hub
	name  subjects.Channel
	label string // its name, once for all events
	kind  subjects.Kind

	opened chan struct{} // closed when open has ended
	failed error         // why it could not be opened; set before opened is closed

	refs int   // who uses or is about to use it; guarded by hub.mu
	idle int64 // hub ticks since refs became 0; guarded by hub.mu

	mu      sync.Mutex
	epoch   string
	proven  uint64 // at the time of opening no fact below it was above ring.last
	ring    ring
	chunks  []chunk
	pages   pages
	healing bool       // facts are held back: until open has ended, and while some are missing
	held    []heldFact // facts that wait for the healing to reach them
	target  uint64     // newest fact known to exist
	cursors [][]*cursor
	queued  []bool // per flusher: it knows that there is something new
	roster  *roster

	mustered chan struct{} // closed when the roster is complete
	reloads  sync.Mutex    // one snapshot of the roster at a time
}

type heldFact struct {
	entry    *entry
	previous uint64
}

func (ch *channel) durable() bool { return ch.kind.Durability == subjects.Durable }

// open makes the channel's tail begin at the leader's watermark. The feed is
// subscribed first, so nothing falls between the watermark and what follows.
func (ch *channel) open(ctx context.Context) error {
	if err := ch.hub.watch(ch); err != nil {
		return fmt.Errorf("watch %s: %w", ch.name, err)
	}
	if !ch.durable() {
		return nil
	}
	// On the connection of the subscription, so that the server has seen it first.
	epoch, err := ch.hub.epoch(ctx, ch.kind.Stream)
	if err != nil {
		return err
	}
	watermark, proven, err := ch.watermark(ctx)
	if err != nil {
		return err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.epoch, ch.proven = epoch, proven
	ch.ring.reset(watermark)
	if !ch.release() {
		ch.heal()
	}
	return nil
}

// watermark asks the leader for the channel's newest fact. For a channel without
// facts, proven is the stream's end at a moment when there was none below it.
func (ch *channel) watermark(ctx context.Context) (watermark, proven uint64, err error) {
	nc, stream, subject := ch.hub.bus.Live, ch.kind.Stream, ch.name.Event()
	if watermark, err = history.Last(ctx, nc, stream, subject); err != nil || watermark > 0 {
		return watermark, watermark, err
	}
	described, err := history.Describe(ctx, nc, stream)
	if err != nil {
		return 0, 0, err
	}
	if watermark, err = history.Last(ctx, nc, stream, subject); err != nil || watermark > 0 {
		return watermark, watermark, err
	}
	return 0, described.Last, nil
}

// position is where a reader that has everything stands.
func (ch *channel) position() wire.Position {
	return wire.Position{Epoch: ch.epoch, Sequence: max(ch.ring.last, ch.proven)}
}

func (ch *channel) gap(from, to uint64) wire.Gap {
	ch.hub.metrics.gaps.Inc()
	return wire.Gap{Channel: ch.name.String(), From: from, To: to, Position: wire.Position{Epoch: ch.epoch, Sequence: to}}
}

// ingest takes a fact from the feed. previous is the sequence of the channel's
// fact before it, 0 when there is none: above the newest one here it says that
// something is missing, which is then read before this fact is let through.
func (ch *channel) ingest(e *entry, previous uint64) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if !ch.healing && e.sequence > ch.ring.last && previous <= ch.ring.last {
		ch.append(e)
		return
	}
	if e.sequence <= ch.ring.last {
		return
	}
	ch.hold(heldFact{e, previous})
	if !ch.healing {
		ch.heal()
	}
}

// broadcast takes a live event or a change of presence.
func (ch *channel) broadcast(e *entry) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.append(e)
}

func (ch *channel) append(e *entry) {
	ch.date(e)
	ch.ring.append(e)
	ch.chunks = ch.chunks[:0]
	ch.dirty()
}

// date sets the epoch of a gap that stands in a fact's place. The lock is held.
func (ch *channel) date(e *entry) {
	if gap, ok := e.notice.(wire.Gap); ok {
		gap.Position.Epoch = ch.epoch
		e.notice = gap
	}
}

func (ch *channel) hold(fact heldFact) {
	ch.target = max(ch.target, fact.entry.sequence)
	if len(ch.held) >= heldEvents {
		clear(ch.held)
		ch.held = ch.held[:0]
	}
	ch.held = append(ch.held, fact)
}

// behind says that the stream's leader knows a fact that did not come.
func (ch *channel) behind(last uint64) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if last > ch.ring.last && last > ch.proven {
		ch.target = max(ch.target, last)
		if !ch.healing {
			ch.heal()
		}
	}
}

// heal reads what is missing up to target, in the background. The lock is held.
func (ch *channel) heal() {
	ch.healing = true
	ch.hub.metrics.heals.Inc()
	ch.hub.start(ch.readMissing)
}

func (ch *channel) readMissing(ctx context.Context) {
	for {
		ch.mu.Lock()
		after, target := ch.ring.last, ch.target
		ch.mu.Unlock()
		reached, err := history.Read(ctx, ch.hub.bus.Replay, ch.kind.Stream, ch.name.Event(), after, target, func(p history.Page) error {
			ch.mu.Lock()
			defer ch.mu.Unlock()
			for _, fact := range p.Facts {
				if fact.Sequence > ch.ring.last {
					ch.append(ch.hub.factEntry(ch.name, ch.label, fact))
				}
			}
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			ch.hub.log.Error("heal", "channel", ch.name.String(), "after", after, "error", err)
			if !pause(ctx, retryPause) {
				return
			}
			continue
		}
		ch.mu.Lock()
		ch.ring.last = max(ch.ring.last, reached)
		whole := ch.release()
		ch.mu.Unlock()
		if whole {
			return
		}
	}
}

// release lets the held facts through and says whether the channel is whole.
// The lock is held.
func (ch *channel) release() bool {
	held := ch.held
	ch.held = nil
	for i, fact := range held {
		if fact.entry.sequence <= ch.ring.last {
			continue
		}
		if fact.previous > ch.ring.last {
			ch.held = held[i:]
			ch.healing = true
			return false
		}
		ch.append(fact.entry)
	}
	ch.healing = ch.target > ch.ring.last
	return !ch.healing
}

// renew starts the channel over on a stream that was created anew: every cursor
// is told, and goes on with the oldest fact of the new stream.
func (ch *channel) renew(ctx context.Context, epoch string) error {
	watermark, proven, err := ch.watermark(ctx)
	if err != nil {
		return err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.epoch == epoch {
		return nil
	}
	ch.epoch, ch.proven, ch.target = epoch, proven, watermark
	ch.ring.reset(watermark)
	ch.pages.kept, ch.chunks = nil, nil
	for _, cursors := range ch.cursors {
		for _, c := range cursors {
			gap := ch.gap(c.sequence+1, c.sequence+1)
			gap.Position.Sequence = 0
			c.gap, c.sequence, c.behind, c.ahead, c.from = &gap, 0, true, false, ch.ring.head()
		}
	}
	if healing := ch.healing; !ch.release() && !healing {
		ch.heal()
	}
	ch.dirty()
	return nil
}

// attach lets a cursor take part. It must not be touched by its session again.
func (ch *channel) attach(c *cursor) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if c.stage != placed {
		return
	}
	c.stage = attached
	list := &ch.cursors[c.session.flusher.index]
	c.slot = len(*list)
	*list = append(*list, c)
	c.session.flusher.session(c.session) // whose cursors alone have something before them
}

func (ch *channel) detach(c *cursor) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	was := c.stage
	c.stage = dropped
	if was != attached {
		return
	}
	list := ch.cursors[c.session.flusher.index]
	last := len(list) - 1
	list[c.slot] = list[last]
	list[c.slot].slot = c.slot
	list[last] = nil
	ch.cursors[c.session.flusher.index] = list[:last]
}

// dirty tells the flushers that have cursors here. The lock is held.
func (ch *channel) dirty() {
	for i := range ch.cursors {
		ch.dirtyFor(i)
	}
}

func (ch *channel) dirtyFor(i int) {
	if !ch.queued[i] && len(ch.cursors[i]) > 0 {
		ch.queued[i] = true
		ch.hub.flushers[i].channel(ch)
	}
}
