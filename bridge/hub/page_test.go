package hub

import (
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// pageOf is a page with some facts.
func pageOf(after, upTo uint64, lost bool, facts ...uint64) *page {
	p := &page{after: after, upTo: upTo, lost: lost}
	for _, sequence := range facts {
		p.entries = append(p.entries, eventEntry(wire.Event{Sequence: sequence, At: time.Unix(int64(sequence), 0)}))
	}
	return p
}

func TestPageCovers(t *testing.T) {
	t.Parallel()
	whole, lost, empty := pageOf(3, 9, false, 5, 9), pageOf(3, 9, true, 6, 9), pageOf(3, 9, true)
	for name, test := range map[string]struct {
		page     *page
		from, to uint64 // covered, both ends included
		apart    uint64 // covered too, when it is not 0
	}{
		"what follows each place in it but its end":                        {page: whole, from: 3, to: 8},
		"where facts are lost, its beginning and from before the first on": {page: lost, from: 5, to: 8, apart: 3},
		"where all are lost, its beginning and its end":                    {page: empty, from: 9, to: 8, apart: 3},
	} {
		kept := pages{kept: []*page{test.page}}
		for sequence := range uint64(12) {
			want := sequence >= test.from && sequence <= test.to || test.apart > 0 && sequence == test.apart
			if got := kept.covering(sequence) != nil; got != want {
				t.Errorf("%s: what follows %d: %v, want %v", name, sequence, got, want)
			}
		}
	}
	if whole.oldest() != 5 || empty.oldest() != 10 {
		t.Errorf("the oldest of the pages are %d and %d", whole.oldest(), empty.oldest())
	}
}

func TestPagesAreForgotten(t *testing.T) {
	t.Parallel()
	var kept pages
	var all []*page
	for i := range uint64(pagesKept + 2) {
		all = append(all, pageOf(10*i, 10*i+10, false))
		kept.add(all[i])
	}
	if !slices.Equal(kept.kept, all[2:]) {
		t.Errorf("%d pages are kept, or not the newest", len(kept.kept))
	}
	if kept.forget(all[3]); kept.covering(30) != nil || kept.covering(29) != all[2] || kept.covering(40) != all[4] {
		t.Error("another page was forgotten than was to be")
	}
}

// A place is the newest fact that is known at or before a sequence: in the ring, or in
// a page; nothing proves one that is in neither.
func TestPlaceOf(t *testing.T) {
	t.Parallel()
	ch := alone(1).newChannel(subjects.Channel{Kind: "log", ID: "1"})
	ch.ring.reset(history.Position{Sequence: 20, At: time.Unix(20, 0)}, true)
	ch.append(eventEntry(wire.Event{Sequence: 25, At: time.Unix(25, 0)}))
	ch.append(eventEntry(wire.Event{}))
	ch.append(eventEntry(wire.Event{Sequence: 28, At: time.Unix(28, 0)}))
	ch.pages.add(pageOf(3, 9, false, 5, 8))
	for sequence, want := range map[uint64]uint64{5: 5, 7: 5, 8: 8, 9: 8, 20: 20, 24: 20, 25: 25, 27: 25, 28: 28, 40: 28} {
		if got := ch.placeOf(sequence); got != (history.Position{Sequence: want, At: time.Unix(int64(want), 0)}) {
			t.Errorf("the place at %d is %v", sequence, got)
		}
	}
	for _, sequence := range []uint64{2, 3, 4, 10, 19} {
		if got := ch.placeOf(sequence); got != (history.Position{Sequence: sequence}) {
			t.Errorf("the place at %d is %v", sequence, got)
		}
	}
}

// Sessions that ask for the same page share one read of it, and are woken by it.
func TestPageIsLoadedOnce(t *testing.T) {
	t.Parallel()
	h := alone(1)
	for range replaysAtOnce { // so that no read begins
		h.replays <- struct{}{}
	}
	ctx := t.Context()
	h.Bind(ctx)
	ch := h.newChannel(subjects.Channel{Kind: "log", ID: "1"})
	ch.mu.Lock()
	first, second, third := ch.load(3), ch.load(3), ch.load(4)
	ch.mu.Unlock()
	if first != second || first == third {
		t.Error("what follows one place is read twice, or what follows two but once")
	}
	if len(ch.loading) != 2 {
		t.Errorf("%d pages are being read", len(ch.loading))
	}
}
