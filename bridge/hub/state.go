package hub

import (
	"slices"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// heldEvents bounds the live facts that a channel keeps back while it is healed.
// Beyond it they are dropped: the healing reads them from the stream.
const heldEvents = 4096

// state is what a channel holds of its facts, and how that changes: by steps that
// read no clock, start nothing and take no lock. What is to be done about a step is
// left in out, for whoever took it: a [Channel], or a simulation.
type state struct {
	label string // the channel's name, once for all events
	kind  subjects.Kind

	epoch    string
	lost     history.Range    // what it had lost when it last began anew
	told     bool             // it began anew under the same epoch
	life     int              // grows when the channel begins anew, and all that was read before is moot
	starting bool             // it begins anew: until where is known nothing is told
	oldest   history.Position // behind which it began, when it last began anew
	ring     ring
	chunks   []chunk
	pages    pages
	erasures int        // grows when what was removed from the stream is forgotten
	healing  bool       // facts are held back: until open has ended, and while some are missing
	suspect  bool       // a fact came that may be of another past
	held     []heldFact // facts that wait for the healing to reach them
	target   uint64     // newest fact known to exist
	presence *presenceSet
	degraded bool // the bus is away: nobody knows what has changed

	out outputs
}

type heldFact struct {
	entry    *entry
	previous uint64
}

// outputs are what steps leave to be done.
type outputs struct {
	changed bool     // readers may have something before them
	heal    bool     // what is missing is to be read: see mend
	begin   bool     // it begins anew: every reader starts over, and where is to be asked
	begun   bool     // it has begun: every reader starts there
	ended   []*entry // facts that have ended memberships
	loads   []uint64 // behind which a page is to be read
	doubts  []Reader // whose right is to be looked at
	gaps    uint64   // made, to be counted
	skipped uint64   // live events that are lost for somebody, to be counted
}

// Durable says whether the channel's events are stored.
func (s *state) Durable() bool { return s.kind.Durability == subjects.Durable }

// unusual says that there is more to be done than to tell readers something.
func (o *outputs) unusual() bool {
	return o.heal || o.begin || o.begun || len(o.ended)+len(o.loads)+len(o.doubts) > 0 || o.gaps+o.skipped > 0
}

// takeOut is what is to be done since it was last taken, but for the telling.
func (s *state) takeOut() outputs {
	out := s.out
	s.out = outputs{changed: out.changed}
	return out
}

// beginAt makes the tail begin at a watermark.
func (s *state) beginAt(watermark history.Position, fact bool) {
	s.ring.reset(watermark, fact)
	if !s.release() {
		s.heal()
	}
}

// head is where a reader that has everything stands.
func (s *state) head() history.Position {
	return history.Position{Epoch: s.epoch, Sequence: s.ring.last, At: s.ring.lastAt}
}

// position is a place in the channel as it is told.
func (s *state) position(place history.Position) wire.Position {
	place.Epoch = s.epoch
	return wire.Position(place)
}

// gap tells of facts that are gone; the reader goes on behind after.
func (s *state) gap(missing history.Range, after history.Position) wire.Gap {
	s.out.gaps++
	return wire.Gap{Channel: s.label, From: missing.From, To: missing.To, Position: s.position(after)}
}

// take takes a fact from the feed. previous is the sequence of the channel's fact
// before it, 0 when there is none. If it is not proven that it follows on the newest
// one here, some may be missing, and are read before this fact is let through; or the
// stream has another past than the one seen here, which the reading finds out. So it
// does when a fact comes later than one with a higher number.
func (s *state) take(e *entry, previous uint64) {
	switch {
	case e.sequence > s.ring.last && !s.healing && s.ring.follows(e.sequence, previous):
		s.append(e)
		return
	case e.sequence > s.ring.last:
		s.hold(heldFact{e, previous})
	case e.stored.After(s.ring.lastAt):
		s.suspect = true
	default:
		return
	}
	if !s.healing {
		s.heal()
	}
}

func (s *state) append(e *entry) {
	s.setEpoch(e)
	s.ring.append(e)
	s.chunks = s.chunks[:0]
	if e.ends.Any() {
		s.out.ended = append(s.out.ended, e)
	}
	s.out.changed = true
}

// setEpoch sets the epoch of a gap that stands in a fact's place.
func (s *state) setEpoch(e *entry) {
	if gap, ok := e.notice.(wire.Gap); ok {
		gap.Position.Epoch = s.epoch
		e.notice = gap
	}
}

func (s *state) hold(fact heldFact) {
	s.target = max(s.target, fact.entry.sequence)
	if len(s.held) >= heldEvents {
		clear(s.held)
		s.held = s.held[:0]
	}
	s.held = append(s.held, fact)
}

// measure takes the newest fact that the stream's leader knew, and what the stream
// was when it was looked at before, if it was. A fact that did not come is read. It
// says whether the channel may have seen a past that is gone; or, when it is asked
// thoroughly, missed facts that are: its own newest one is not there any more.
func (s *state) measure(newest history.Position, stream history.Stream, thorough bool) (doubtful bool) {
	ring := &s.ring
	switch {
	case newest.Sequence > ring.last:
		s.target = max(s.target, newest.Sequence)
		if !s.healing {
			s.heal()
		}
		return false
	case newest.Sequence < ring.fact:
		return thorough
	case newest.Sequence > ring.fact:
		return true
	case ring.fact == ring.last && ring.fact > 0 && !newest.At.Equal(ring.lastAt):
		return !ring.lastAt.IsZero()
	}
	if !s.healing && stream.Deleted == 0 && stream.First <= ring.last+1 {
		ring.reach(stream.End()) // nothing was removed from there on
	}
	return false
}

// heal has what is missing up to target read.
func (s *state) heal() { s.healing, s.out.heal = true, true }

// release lets the held facts through and says whether the channel is whole.
func (s *state) release() bool {
	held := s.held
	s.held = nil
	for i, fact := range held {
		if fact.entry.sequence <= s.ring.last {
			continue
		}
		if !s.ring.follows(fact.entry.sequence, fact.previous) {
			s.held = held[i:]
			s.healing = true
			return false
		}
		if fact.entry.stored.Before(s.ring.lastAt) { // of a past that was gone before the facts behind it were read
			s.suspect = true
			continue
		}
		s.append(fact.entry)
	}
	s.healing = s.target > s.ring.last || s.suspect
	return !s.healing
}

// rename takes a new epoch of the channel's stream, and how a reader of all that is
// here goes on in it. When the stream is the same readers miss at most what nobody can
// give them; otherwise they begin anew.
func (s *state) rename(epoch string, life int, standing history.Standing) {
	switch {
	case s.life != life || s.epoch == epoch: // it has begun anew meanwhile
	case standing.Anew:
		s.restart(epoch)
	case s.told: // of the break that the epoch stands for
		s.epoch, s.told = epoch, false
	default:
		s.epoch = epoch
		gap := gapEntry(s.gap(*standing.Missing, s.head()))
		gap.sequence = 0 // it has no place among the facts
		s.append(gap)
	}
}

// restart begins the channel anew on a stream whose past is another, whether its epoch
// says so or not: every cursor is told, and goes on with the oldest fact kept. Until
// the new watermark is known nothing is told and nobody is placed.
func (s *state) restart(epoch string) {
	s.life++
	s.told = epoch == s.epoch
	s.epoch = epoch
	s.starting = true
	s.target, s.suspect, s.healing, s.held = 0, false, true, nil
	s.ring.reset(history.Position{}, false)
	s.pages, s.chunks = pages{}, nil
	s.out.begin, s.out.heal = true, false
}

// started ends what restart began: it is known where the channel begins now, and its
// new watermark.
func (s *state) started(oldest, watermark history.Position, fact bool) {
	s.starting = false
	s.beginAt(watermark, fact)
	if s.oldest = oldest; watermark.Sequence < oldest.Sequence {
		s.oldest = watermark
	}
	s.out.begun, s.out.changed = true, true
}

// erase drops the facts up to a sequence, wherever they are. Cursors before them are
// told a gap, as of all that is gone.
func (s *state) erase(sequence uint64) {
	s.erasures++
	s.ring.erase(sequence)
	s.held = slices.DeleteFunc(s.held, func(fact heldFact) bool { return fact.entry.sequence <= sequence })
	s.pages.kept = slices.DeleteFunc(s.pages.kept, func(p *page) bool { return len(p.entries) > 0 && p.oldest() <= sequence })
	s.chunks = nil
	s.out.changed = true
}
