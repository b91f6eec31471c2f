package hub

import "github.com/latido/latido/subjects/history"

// asking is what has to be known of a stream, by its leader, before a step.
type asking uint8

const (
	askNothing   asking = iota // it has ended
	askPage                    // the facts after a place, up to a sequence
	askStanding                // how a reader at a place goes on
	askPreceding               // the place right before a fact
	askEpoch                   // the stream's now that it has lost a place
)

// question is what a mending has to know next.
type question struct {
	asking
	at   history.Position // the reader's place; of askPreceding the fact's
	upTo uint64           // of askPage
}

// answer is that of a question.
type answer struct {
	pending  uint64           // of askPage: facts behind them, as the answering replica knows
	entries  []*entry         // of askPage: none, when those there were are gone
	reached  uint64           // of askPage: behind which none of the facts up to upTo follow, if there are no entries
	standing history.Standing // of askStanding
	place    history.Position // of askPreceding
	epoch    string           // of askEpoch
}

// reading is one of the stream, a step at a time: a question, and what its answer does
// to what is held here.
type reading interface {
	next() question
	step(*state, answer)
	fail(*state) // it has ended without an answer
}

// mending reads what a channel misses, from the newest fact here up to the newest one
// known to exist, or looks whether its past is that of the stream. Each page is told
// once it is known that nothing before it is gone, or a gap.
type mending struct {
	question
	life    int
	from    history.Position // up to which the tail is whole
	target  uint64
	suspect bool     // the past is in doubt: it is judged first
	entries []*entry // read, and not judged yet
	missing *history.Range
	reached uint64 // by the last read, when there is nothing more
	whole   bool   // how it ended: nothing is missing
}

func (m *mending) next() question { return m.question }

// mend begins a mending of all that is missing.
func (s *state) mend() *mending {
	m := &mending{life: s.life, from: s.head(), target: s.target, suspect: s.suspect}
	s.suspect = false
	if m.suspect {
		m.question = question{asking: askStanding, at: m.from}
	} else {
		m.read(s)
	}
	return m
}

// look begins one that reads nothing, but tells what is gone behind the newest fact
// here, and finds a past that is another.
func (s *state) look() *mending {
	m := &mending{life: s.life, from: s.head()}
	m.question = question{asking: askStanding, at: m.from}
	return m
}

// read asks for the next page, or ends.
func (m *mending) read(s *state) {
	if m.from.Sequence < m.target {
		m.question = question{asking: askPage, at: m.from, upTo: m.target}
		return
	}
	m.end(s, m.from.Sequence)
}

// end lets through what was held back.
func (m *mending) end(s *state, reached uint64) {
	m.question = question{}
	if m.target > 0 || m.suspect {
		s.ring.reach(history.Position{Sequence: reached, At: m.from.At}) // of what was there last
		m.whole = s.release()
	}
}

// step takes the answer to its question. If the channel has begun anew meanwhile all
// that was found out is moot, and the mending has ended.
func (m *mending) step(s *state, a answer) {
	if s.life != m.life {
		m.question, m.whole = question{}, true
		return
	}
	switch m.asking {
	case askNothing:
	case askPage:
		m.entries, m.reached = a.entries, a.reached
		if len(a.entries) == 0 && a.reached <= m.from.Sequence {
			m.end(s, a.reached)
			return
		}
		m.question = question{asking: askStanding, at: m.from}
	case askStanding:
		m.judged(s, a.standing)
	case askPreceding:
		m.missing.To = a.place.Sequence
		m.extend(s, a.place)
	case askEpoch:
		s.restart(a.epoch)
		m.question, m.whole = question{}, true
	}
}

// judged takes how a reader at from goes on.
func (m *mending) judged(s *state, standing history.Standing) {
	m.missing = standing.Missing
	switch {
	case standing.Anew:
		m.question = question{asking: askEpoch, at: m.from}
	case m.missing != nil && len(m.entries) > 0 && m.entries[0].sequence <= m.missing.To: // removed since it was read
		first := m.entries[0]
		m.question = question{asking: askPreceding, at: history.Position{Sequence: first.sequence, At: first.stored}}
	default:
		m.extend(s, standing.Place(""))
	}
}

// extend appends what was read to the tail, behind a gap when some before it is gone.
func (m *mending) extend(s *state, after history.Position) {
	if missing := m.missing; missing != nil && missing.To > s.ring.last && missing.From <= missing.To {
		s.append(gapEntry(s.gap(*missing, after)))
	}
	for _, e := range m.entries {
		if e.sequence > s.ring.last {
			s.append(e)
		}
	}
	read := len(m.entries)
	if read > 0 {
		newest := m.entries[read-1]
		m.from = history.Position{Sequence: newest.sequence, At: newest.stored}
	}
	m.entries, m.missing = nil, nil
	if read == 0 && m.reached > 0 {
		m.end(s, m.reached)
		return
	}
	m.read(s)
}

// fail keeps in doubt what was.
func (m *mending) fail(s *state) {
	if s.life == m.life {
		s.suspect = s.suspect || m.suspect
	}
}
