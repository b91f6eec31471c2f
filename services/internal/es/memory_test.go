package es

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/latido/latido/subjects"
)

var (
	channel = subjects.Channel{Kind: "room", ID: "1"}
	now     = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
)

// trail is a state that shows which facts went into it.
func trail(state []uint64, f fact) []uint64 { return append(slices.Clone(state), f.seq) }

func facts(seqs ...uint64) []fact {
	list := make([]fact, len(seqs))
	for i, seq := range seqs {
		list[i] = fact{seq: seq, id: "id-" + strconv.FormatUint(seq, 10)}
	}
	return list
}

func TestMemoryFollowsAnUnbrokenTrail(t *testing.T) {
	t.Parallel()
	m := newMemories(trail)
	m.learn(channel, 0, facts(3, 7), now)
	m.learn(channel, 3, facts(7, 8), now) // the feed overlaps with what was read
	known := m.learn(channel, 8, facts(9), now)
	if want := []uint64{3, 7, 8, 9}; !slices.Equal(known.state, want) || known.seq != 9 || known.confirmed != now {
		t.Errorf("got %v at %d, want %v", known.state, known.seq, want)
	}
	if got, found := known.receipt("id-7"); !found || got.seq != 7 {
		t.Errorf("receipt of 7: %+v, %v", got, found)
	}
}

func TestMemoryDoesNotBelieveAGap(t *testing.T) {
	t.Parallel()
	m := newMemories(trail)
	m.learn(channel, 0, facts(3), now)
	known := m.learn(channel, 5, facts(9), now)
	if want := []uint64{3}; !slices.Equal(known.state, want) || !known.confirmed.IsZero() {
		t.Errorf("got %v, confirmed %v; want %v, unconfirmed", known.state, known.confirmed, want)
	}
	known = m.learn(channel, 3, facts(5, 9), now)
	if want := []uint64{3, 5, 9}; !slices.Equal(known.state, want) || known.confirmed != now {
		t.Errorf("got %v, confirmed %v; want %v", known.state, known.confirmed, want)
	}
}

func TestMemoryForgetsAPastThatIsGone(t *testing.T) {
	t.Parallel()
	m := newMemories(trail)
	stored := func(minute int, seqs ...uint64) []fact {
		list := facts(seqs...)
		for i := range list {
			list[i].at = now.Add(time.Duration(minute) * time.Minute)
		}
		return list
	}
	m.learn(channel, 0, facts(3, 7), now)
	m.learn(channel, 3, stored(1, 7), now) // the feed tells when
	if known := m.learn(channel, 3, stored(1, 7), now); known.seq != 7 {
		t.Errorf("forgotten: %+v", known)
	}
	if known := m.learn(channel, 0, stored(2, 5), now); known.seq != 0 || m.holds(channel) {
		t.Errorf("a later fact with a lower number, and still remembered: %+v", known)
	}
}

func TestMemoryIsConfirmedByAReadThatFindsNothing(t *testing.T) {
	t.Parallel()
	m := newMemories(trail)
	m.learn(channel, 0, facts(3), time.Time{})
	if known := m.recall(channel); !known.confirmed.IsZero() {
		t.Error("confirmed by a page that others may follow")
	}
	m.learn(channel, 3, nil, now)
	if known := m.recall(channel); known.confirmed != now {
		t.Error("not confirmed")
	}
	m.learn(channel, 3, nil, now.Add(-time.Second))
	if known := m.recall(channel); known.confirmed != now {
		t.Error("confirmed for an earlier time than before")
	}
}

func TestMemoryForgetsTheLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	m := newMemories(trail)
	for i := range aggregatesKept {
		m.learn(subjects.Channel{Kind: "room", ID: strconv.Itoa(i)}, 0, facts(1), now)
	}
	first, second := subjects.Channel{Kind: "room", ID: "0"}, subjects.Channel{Kind: "room", ID: "1"}
	m.recall(first)
	m.learn(subjects.Channel{Kind: "room", ID: "one more"}, 0, facts(1), now)
	if !m.holds(first) || m.holds(second) {
		t.Errorf("holds the used one: %v, the unused one: %v", m.holds(first), m.holds(second))
	}
}

func TestMemoryBoundsReceipts(t *testing.T) {
	t.Parallel()
	m := newMemories(trail)
	for seq := range uint64(1000) {
		m.learn(channel, seq, facts(seq+1), now)
	}
	known := m.recall(channel)
	if n := len(known.receipts); n < receiptsKept || n > 2*receiptsKept {
		t.Errorf("%d receipts, want %d to %d", n, receiptsKept, 2*receiptsKept)
	}
	if _, found := known.receipt("id-1000"); !found {
		t.Error("the newest receipt is gone")
	}
}
