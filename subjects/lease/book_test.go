package lease

import (
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology"
)

// life is a book and the seconds since it began.
type life struct {
	book
	start time.Time
	told  []changed
}

func begin(doubt bool) *life {
	l := &life{book: newBook("us", doubt), start: time.Now()}
	l.tick(0)
	return l
}

func (l *life) at(second float64) time.Time {
	return l.start.Add(time.Duration(second * float64(time.Second)))
}

func (l *life) tick(second float64) {
	l.told = append(l.told, l.book.tick(l.at(second), l.at(second))...)
}

// hear has b heard.
func (l *life) hear(second float64) {
	l.told = append(l.told, l.heard("b", l.at(second))...)
}

func (l *life) expect(t *testing.T, want ...changed) {
	t.Helper()
	if !slices.Equal(l.told, want) {
		t.Errorf("told %v, want %v", l.told, want)
	}
	l.told = nil
}

func TestANodeIsGoneWhenOnlyItIsSilent(t *testing.T) {
	t.Parallel()
	l := begin(false)
	l.hear(1)
	l.expect(t, changed{"b", Here})
	for second := 3.0; second < 11; second += 3 {
		l.tick(second)
	}
	l.expect(t)
	if due := l.due(l.at(9)); due != 2*time.Second {
		t.Errorf("our next renewal is due in %v, when b's lease ends", due)
	}
	l.tick(11)
	l.expect(t, changed{"b", Lost})
	if l.here("b", l.at(11)) {
		t.Error("it is there")
	}
	l.hear(12)
	l.expect(t, changed{"b", Here})
}

// Whatever keeps our own renewals away keeps those of others away, too.
func TestNobodyIsGoneWhileOurClockStandsStill(t *testing.T) {
	t.Parallel()
	l := begin(false)
	l.hear(1)
	l.tick(3)
	l.told = nil
	if l.fresh(l.at(23)) || l.over(l.at(5), l.at(23)) {
		t.Error("twenty seconds of silence are none, and nobody was waited for in vain")
	}
	l.tick(23) // the bus is back, and b is not heard yet
	l.expect(t)
	if l.over(l.at(5), l.at(24)) {
		t.Error("somebody was waited for in vain before everybody could have been heard")
	}
	for second := 26.0; second < 33; second += 3 {
		l.tick(second)
	}
	l.expect(t)
	l.hear(32.9)
	l.tick(33)
	l.expect(t)
	if settled := l.at(23).Add(topology.LeaseTTL); !l.over(l.at(5), settled) {
		t.Error("afterwards nobody was waited for in vain")
	}
	for second := 36.0; second < 43; second += 3 {
		l.tick(second)
	}
	l.tick(43)
	l.expect(t, changed{"b", Lost})
}

func TestANodeThatPartsIsNotLost(t *testing.T) {
	t.Parallel()
	l := begin(false)
	l.hear(1)
	l.returned("b")
	for second := 3.0; second < 13; second += 3 {
		l.tick(second)
	}
	l.expect(t, changed{"b", Here}, changed{"b", Parted})
}

func TestDoubt(t *testing.T) {
	t.Parallel()
	sure, doubtful := begin(false), begin(true)
	if sure.here("b", sure.at(1)) || !doubtful.here("b", doubtful.at(1)) {
		t.Error("a node that nobody has heard of")
	}
	for second := 3.0; second < 13; second += 3 {
		doubtful.tick(second)
	}
	doubtful.expect(t, changed{"b", Lost})
	if doubtful.here("b", doubtful.at(12)) || doubtful.here("c", doubtful.at(12)) {
		t.Error("doubt ends when everybody could have been heard")
	}
}

func TestTheServersTime(t *testing.T) {
	t.Parallel()
	l := begin(false)
	skewed := l.at(0).Add(-time.Hour)
	l.book.tick(l.at(40), skewed)
	if got := l.server(l.at(42)); got.Sub(skewed) != 2*time.Second {
		t.Errorf("%v after the last renewal", got.Sub(skewed))
	}
}

// A node that gave its lease back is there for a while, but begins and ends nothing.
func TestWhoHasParted(t *testing.T) {
	t.Parallel()
	l := begin(false)
	l.hear(1)
	if l.parted("b") || l.parted("nobody") {
		t.Error("parted before it gave its lease back")
	}
	l.returned("b")
	if !l.parted("b") || !l.here("b", l.at(2)) {
		t.Error("not parted, or not there")
	}
	if l.hear(2); l.parted("b") {
		t.Error("parted though it was heard again")
	}
}
