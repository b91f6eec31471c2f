package hub

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/latido/latido/subjects/history"
)

// page is a run of facts that were read back from the stream: all there are of
// the channel between after and upTo. It never changes.
type page struct {
	after, upTo uint64
	entries     []*entry
	pending     uint64    // facts of the channel behind the page when it was read
	known       uint64    // newest fact of the ring at that moment
	lost        bool      // facts right behind after may have been there and are gone
	lostAt      time.Time // proves the place before oldest, when some are lost
}

// oldest is the sequence of the page's first fact, or the one behind the page.
func (p *page) oldest() uint64 {
	if len(p.entries) > 0 {
		return p.entries[0].sequence
	}
	return p.upTo + 1
}

// placeOf is the newest place at or before a sequence which is known: between the
// two there is no fact of the channel. The lock is held.
func (ch *Channel) placeOf(sequence uint64) history.Position {
	if sequence >= ch.ring.floor {
		return ch.ring.placeOf(sequence)
	}
	for _, page := range ch.pages.kept {
		if page.after > sequence || sequence > page.upTo {
			continue
		}
		for _, e := range slices.Backward(page.entries) {
			if e.sequence <= sequence {
				return history.Position{Sequence: e.sequence, At: e.stored}
			}
		}
	}
	return history.Position{Sequence: sequence}
}

// pagesKept bounds the pages that a channel remembers, so that sessions which
// return together share one read.
const pagesKept = 8

// pages are the pages of one channel that were read lately.
type pages struct {
	kept    []*page
	loading map[uint64]chan struct{} // by the sequence asked for; closed when loaded
}

// covering finds the page that holds what follows a sequence.
func (p *pages) covering(sequence uint64) *page {
	for _, page := range p.kept {
		if page.after <= sequence && sequence < page.upTo && (!page.lost || page.after == sequence || sequence+1 >= page.oldest()) {
			return page
		}
	}
	return nil
}

// forget drops a page.
func (p *pages) forget(old *page) {
	p.kept = slices.DeleteFunc(p.kept, func(kept *page) bool { return kept == old })
}

func (p *pages) add(fresh *page) {
	if len(p.kept) >= pagesKept {
		p.kept = append(p.kept[:0], p.kept[1:]...)
	}
	p.kept = append(p.kept, fresh)
}

// load starts to read the page after a sequence, unless somebody does already,
// and returns what is closed when it is there. The channel's lock is held.
func (ch *Channel) load(after uint64) <-chan struct{} {
	if done, ok := ch.pages.loading[after]; ok {
		return done
	}
	if ch.pages.loading == nil {
		ch.pages.loading = make(map[uint64]chan struct{})
	}
	done := make(chan struct{})
	ch.pages.loading[after] = done
	upTo, life, erasures := ch.ring.floor, ch.life, ch.erasures
	ch.hub.Start(func(ctx context.Context) { ch.fetch(ctx, life, erasures, after, upTo, done) })
	return done
}

func (ch *Channel) fetch(ctx context.Context, life, erasures int, after, upTo uint64, done chan struct{}) {
	fresh, err := ch.hub.readPage(ctx, ch, life, after, upTo)
	if errors.Is(err, errAnew) {
		err = nil
	}
	if err != nil && ctx.Err() == nil {
		ch.hub.log.Error("replay", "channel", ch.Name.String(), "after", after, "error", err)
		Pause(ctx, time.Second) // before whoever still waits asks again
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	close(done)
	if ch.life != life {
		return // of a past that is gone
	}
	delete(ch.pages.loading, after)
	if fresh != nil && ch.erasures == erasures { // or else it may hold what is erased, and is read again
		for _, e := range fresh.entries {
			ch.setEpoch(e)
		}
		fresh.known = ch.ring.last
		ch.pages.add(fresh)
	}
	ch.markDirty()
}

// errEnough ends a read after its first page.
var errEnough = errors.New("one page is enough")

// Reading waits until one more read of history may begin, and returns what ends it.
func (h *Hub) Reading(ctx context.Context) (done func(), err error) {
	select {
	case h.replays <- struct{}{}:
		return func() { <-h.replays }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// readPage reads the facts after a sequence, at most one page of them and none
// above upTo. A few reads are admitted at a time. Whether something is lost is
// judged when they have been read: retention does not wait.
func (h *Hub) readPage(ctx context.Context, ch *Channel, life int, after, upTo uint64) (*page, error) {
	done, err := h.Reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	began := time.Now()
	defer func() { h.metrics.replay.Observe(time.Since(began).Seconds()) }()
	fresh := &page{after: after, upTo: upTo}
	reached, err := history.Read(ctx, h.Bus.Replay, ch.kind.Stream, ch.Name.Event(), after, upTo, func(p history.Page) error {
		for _, fact := range p.Facts {
			if fact.Sequence <= upTo {
				fresh.entries = append(fresh.entries, h.factEntry(ch.Name, ch.label, fact))
				fresh.upTo = fact.Sequence
			}
		}
		fresh.pending = p.Pending + uint64(len(p.Facts)-len(fresh.entries))
		return errEnough
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	if len(fresh.entries) == 0 {
		fresh.upTo = max(reached, upTo)
	}
	standing, err := history.Judge(ctx, h.Bus.Replay, ch.kind.Stream, ch.Name.Event(), history.Position{Sequence: after})
	if err != nil {
		return nil, err
	}
	if standing.Anew {
		return nil, ch.beginElsewhere(ctx, life)
	}
	if fresh.lost = standing.Missing != nil; fresh.lost {
		next := standing.At
		if len(fresh.entries) > 0 {
			next = fresh.entries[0].stored
		}
		before, err := history.Preceding(ctx, h.Bus.Replay, ch.kind.Stream, fresh.oldest(), next)
		if err != nil {
			return nil, err
		}
		fresh.lostAt = before.At
	}
	return fresh, nil
}
