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
// two there is no fact of the channel.
func (s *state) placeOf(sequence uint64) history.Position {
	if sequence >= s.ring.floor {
		return s.ring.placeOf(sequence)
	}
	for _, page := range s.pages.kept {
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
	kept []*page
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
	if done, ok := ch.loading[after]; ok {
		return done
	}
	if ch.loading == nil {
		ch.loading = make(map[uint64]chan struct{})
	}
	done := make(chan struct{})
	ch.loading[after] = done
	upTo, life, erasures := ch.ring.floor, ch.life, ch.erasures
	ch.hub.Start(func(ctx context.Context) { ch.fetch(ctx, life, erasures, after, upTo, done) })
	return done
}

func (ch *Channel) fetch(ctx context.Context, life, erasures int, after, upTo uint64, done chan struct{}) {
	ch.mu.Lock()
	at := ch.proofOf(after)
	ch.mu.Unlock()
	fresh, err := ch.hub.readPage(ctx, ch, life, at, upTo)
	if err != nil && ctx.Err() == nil {
		ch.hub.log.Error("replay", "channel", ch.Name.String(), "after", after, "error", err)
		Pause(ctx, time.Second) // before whoever still waits asks again
	}
	ch.mu.Lock()
	defer ch.unlock()
	close(done)
	if ch.life != life {
		return // of a past that is gone
	}
	delete(ch.loading, after)
	ch.keep(fresh, erasures)
}

// keep keeps a page that was read, unless something was erased since: then it may hold
// that, and is read again.
func (s *state) keep(fresh *page, erasures int) {
	s.out.changed = true
	if fresh == nil || s.erasures != erasures {
		return
	}
	for _, e := range fresh.entries {
		s.setEpoch(e)
	}
	fresh.known = s.ring.last
	s.pages.add(fresh)
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

// proofOf is a sequence with the time of its message, if that is known.
func (s *state) proofOf(sequence uint64) history.Position {
	if at := s.placeOf(sequence); at.Sequence == sequence {
		return at
	}
	return history.Position{Sequence: sequence}
}

// readPage reads the facts after a place, at most one page of them and none
// above upTo. A few reads are admitted at a time.
func (h *Hub) readPage(ctx context.Context, ch *Channel, life int, after history.Position, upTo uint64) (*page, error) {
	done, err := h.Reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	began := time.Now()
	defer func() { h.metrics.replay.Observe(time.Since(began).Seconds()) }()
	t := turnTo(life, after, upTo)
	if err := ch.carryThrough(ctx, t); err != nil {
		return nil, err
	}
	return t.page, nil
}

// turning is the reading of a page. Whether something is lost is judged when its facts
// have been read: retention does not wait.
type turning struct {
	question
	life   int
	behind history.Position // what it follows
	read   page
	page   *page // that was read; nil when the channel has begun anew
}

func turnTo(life int, after history.Position, upTo uint64) *turning {
	return &turning{
		life: life, behind: after, read: page{after: after.Sequence, upTo: upTo},
		question: question{asking: askPage, at: after, upTo: upTo},
	}
}

func (t *turning) next() question { return t.question }

func (t *turning) fail(*state) {}

func (t *turning) step(s *state, a answer) {
	fresh := &t.read
	asked := t.asking
	t.question = question{}
	switch asked {
	case askNothing:
	case askPage:
		t.take(a)
		t.question = question{asking: askStanding, at: t.behind}
	case askStanding:
		fresh.lost = a.standing.Missing != nil
		switch {
		case a.standing.Anew:
			t.question = question{asking: askEpoch, at: t.at}
		case fresh.lost:
			next := a.standing.At
			if len(fresh.entries) > 0 {
				next = fresh.entries[0].stored
			}
			t.question = question{asking: askPreceding, at: history.Position{Sequence: fresh.oldest(), At: next}}
		default:
			t.page = fresh
		}
	case askPreceding:
		fresh.lostAt = a.place.At
		t.page = fresh
	case askEpoch:
		if s.life == t.life {
			s.restart(a.epoch)
		}
	}
}

// take takes the facts of the page.
func (t *turning) take(a answer) {
	fresh, upTo := &t.read, t.read.upTo
	for _, e := range a.entries {
		if e.sequence <= upTo {
			fresh.entries = append(fresh.entries, e)
			fresh.upTo = e.sequence
		}
	}
	fresh.pending = a.pending + uint64(len(a.entries)-len(fresh.entries))
	if len(fresh.entries) == 0 {
		fresh.upTo = max(a.reached, upTo)
	}
}
