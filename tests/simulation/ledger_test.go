package simulation

import (
	"context"

	"github.com/latido/latido/subjects/history"
)

// ledger is what one reader of a channel was told, held against what is so.
type ledger struct {
	knows bool             // it was placed once
	at    history.Position // where it stands
	last  *message         // the newest fact that it was told since it began, or began anew
	since uint64           // it was promised nothing up to here
	told  map[int]bool     // numbers of facts
	gaps  []history.Range  // since the last fact
}

// placed begins a ledger at a position: what follows is promised.
func (l *ledger) placed(at history.Position) {
	l.knows, l.at, l.since, l.told = true, at, at.Sequence, map[int]bool{}
}

// fact judges a fact that the reader is told.
func (l *ledger) fact(w *world, who int, sequence uint64, number int) {
	m := w.bus.byNumber[number]
	switch {
	case m == nil || m.seq != sequence:
		w.fail("what is told is so", "browser %d: fact %d as %d", who, number, sequence)
		return
	case l.told[number]:
		w.fail("nothing twice", "browser %d: fact %d, sequence %d", who, number, sequence)
	case sequence <= l.at.Sequence:
		w.fail("in order", "browser %d: sequence %d behind %d", who, sequence, l.at.Sequence)
	}
	l.lacks(w, who, m.before)
	l.told[number], l.last, l.gaps = true, m, nil
	l.at.Sequence, l.at.At = m.seq, m.at
}

// lacks looks whether the reader was told all up to a fact, or of its lack.
func (l *ledger) lacks(w *world, who int, m *message) {
	for ; m != nil && m != l.last; m = m.before {
		switch {
		case l.covers(m.seq):
			continue
		case l.last == nil && m.seq <= l.since:
			return
		case l.last != nil && m.seq <= l.last.seq:
			if len(l.gaps) == 0 && !l.excused(w) {
				w.fail("no other past untold", "browser %d: fact %d is of another past than %d", who, m.number, l.last.number)
			}
			return
		}
		w.fail("nothing lost", "browser %d: fact %d, sequence %d, behind %d", who, m.number, m.seq, l.at.Sequence)
		return
	}
}

// excused says that nothing is left by which it could be known that the last fact is
// of another past.
func (l *ledger) excused(w *world) bool {
	_, there, _ := w.bus.Message(context.Background(), l.last.seq)
	return !there
}

func (l *ledger) covers(sequence uint64) bool {
	for _, gap := range l.gaps {
		if gap.From <= sequence && sequence <= gap.To {
			return true
		}
	}
	return false
}

// gap takes what the reader is told to miss, and where it stands then.
func (l *ledger) gap(w *world, who int, missing history.Range, at history.Position) {
	if w.breaks+w.removes == 0 {
		w.fail("no gap for nothing", "browser %d: %d to %d", who, missing.From, missing.To)
	}
	w.marks.at("a gap is told")
	if at.Sequence < l.at.Sequence || at.Sequence == 0 { // it begins anew
		w.marks.at("a browser begins anew")
		l.last, l.since, l.told = nil, at.Sequence, map[int]bool{}
	}
	missing.To = max(missing.To, at.Sequence)
	l.gaps = append(l.gaps, missing)
	l.at = at
}

// end judges at the end, when the newest fact of the channel is known.
func (l *ledger) end(w *world, who int, newest *message) {
	if newest != nil {
		l.lacks(w, who, newest)
	}
}
