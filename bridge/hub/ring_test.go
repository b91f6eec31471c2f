package hub

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// shelf is what a ring must be, by the plainest means: everything that was ever
// put in, of which the oldest have gone.
type shelf struct {
	all     []shelved
	gone    int              // so many of all have left
	base    uint64           // position of all[0]
	floor   history.Position // at the last reset, or of the newest numbered entry that has left
	last    history.Position
	fact    uint64
	removed []shelved // that ended memberships, below floor
}

type shelved struct {
	*entry
	known uint64 // the sequence up to which all was known once it was in
}

func (s *shelf) here() []shelved { return s.all[s.gone:] }

func (s *shelf) first() uint64 { return s.base + uint64(s.gone) }

func (s *shelf) put(e *entry) {
	if e.sequence > 0 {
		s.last = history.Position{Sequence: e.sequence, At: e.stored}
		if !e.hole {
			s.fact = e.sequence
		}
	}
	s.all = append(s.all, shelved{e, s.last.Sequence})
	for len(s.here()) > ringEntries || len(s.here()) > 1 && s.size() > ringBytes {
		s.drop()
	}
}

func (s *shelf) drop() {
	old := s.here()[0]
	s.gone++
	if old.sequence > 0 {
		s.floor = history.Position{Sequence: old.sequence, At: old.stored}
	}
	if old.ends.Any() {
		s.removed = append(s.removed, old)
	}
}

// erase drops all up to the last entry whose number is not above upTo.
func (s *shelf) erase(upTo uint64) {
	for slices.ContainsFunc(s.here(), func(e shelved) bool { return 0 < e.sequence && e.sequence <= upTo }) {
		s.drop()
	}
}

func (s *shelf) size() (bytes int) {
	for _, e := range s.here() {
		bytes += e.size
	}
	return bytes
}

// after is where what came once everything up to a sequence was known begins.
func (s *shelf) after(sequence uint64) uint64 {
	for i, e := range s.here() {
		if e.known >= sequence && (sequence == 0 || e.sequence != sequence) {
			return s.first() + uint64(i)
		}
	}
	return s.first() + uint64(len(s.here()))
}

func (s *shelf) facts(sequence uint64) (n uint64) {
	for _, e := range s.here() {
		if e.sequence > sequence && !e.hole {
			n++
		}
	}
	return n
}

// placeOf is the newest place that is known at or before a sequence, and whether it
// is the very one.
func (s *shelf) placeOf(sequence uint64) (place history.Position, exact bool) {
	place = s.floor
	for _, e := range s.here() {
		if e.sequence > 0 && e.sequence <= sequence {
			place = history.Position{Sequence: e.sequence, At: e.stored}
		}
	}
	if sequence >= s.last.Sequence {
		place = s.last
	}
	return place, place.Sequence == sequence
}

// end is the first fact known that ended a membership. Of those that have left the
// ring only the newest are.
func (s *shelf) end(m Membership) uint64 {
	known := slices.Concat(s.removed[max(0, len(s.removed)-endedKept):], s.here())
	for _, e := range known {
		if e.sequence > m.since && e.ends.Has(m.user) {
			return e.sequence
		}
	}
	return 0
}

func TestRingHoldsTheNewest(t *testing.T) {
	t.Parallel()
	eachSeed(t, 40, func(t *testing.T, random *rand.Rand) {
		ring, model := new(ring), new(shelf)
		begin := func() {
			watermark := history.Position{Sequence: oneOf(random, 0, random.Uint64N(50)), At: moment(random)}
			fact := watermark.Sequence > 0 && chance(random, 2)
			head := ring.head()
			ring.reset(watermark, fact)
			*model = shelf{base: head, floor: watermark, last: watermark}
			if fact {
				model.fact = watermark.Sequence
			}
		}
		begin()
		size := oneOf(random, 300, 40_000, 400_000, 2*ringBytes)
		for step := range 3000 {
			switch draw := random.IntN(1000); {
			case draw == 0:
				begin()
			case draw < 4:
				upTo := ring.floor + random.Uint64N(ring.last-ring.floor+3)
				ring.erase(upTo)
				model.erase(upTo)
			case draw < 50:
				place := history.Position{Sequence: ring.last + random.Uint64N(3), At: moment(random)}
				if place.Sequence > model.last.Sequence {
					model.last = place
				}
				ring.reach(place)
			default:
				e := anyEntry(random, ring.last, size)
				ring.append(e)
				model.put(e)
			}
			if chance(random, 20) || step < 100 {
				compareRing(t, random, ring, model)
			}
			if t.Failed() {
				t.Fatalf("at step %d, entries of about %d bytes", step, size)
			}
		}
	})
}

// moment is a time of day that no other is.
func moment(random *rand.Rand) time.Time { return time.Unix(random.Int64N(1<<40), random.Int64N(1e9)) }

// anyEntry is a fact, a hole, a live event or a change of presence.
func anyEntry(random *rand.Rand, last uint64, size int) *entry {
	e := &entry{size: 1 + random.IntN(2*size)}
	switch next := last + 1 + random.Uint64N(3); random.IntN(8) {
	case 0:
		e.presence, e.notice = true, wire.Diff{}
	case 1, 2:
		e.notice = wire.Event{}
	case 3:
		e.notice, e.sequence, e.stored, e.hole = wire.Gap{}, next, moment(random), true
	default:
		e.notice, e.sequence, e.stored = wire.Event{}, next, moment(random)
		if chance(random, 4) {
			ending := oneOf(random, subjects.Ending{Users: "named"}, subjects.Ending{Only: []string{"named"}})
			e.ends = ending.Of([]byte(oneOf(random, `{"named":"ana"}`, `{"named":["luis","marta"]}`)))
		}
	}
	return e
}

func compareRing(t *testing.T, random *rand.Rand, ring *ring, model *shelf) {
	t.Helper()
	here := model.here()
	if ring.base != model.first() || ring.head() != model.first()+uint64(len(here)) || ring.bytes != model.size() {
		t.Errorf("holds %d..%d with %d bytes, want %d..%d with %d", ring.base, ring.head(), ring.bytes, model.first(), model.first()+uint64(len(here)), model.size())
		return
	}
	for i, e := range here {
		if ring.get(ring.base+uint64(i)) != e.entry {
			t.Errorf("another entry is at %d", ring.base+uint64(i))
		}
	}
	floor, last := history.Position{Sequence: ring.floor, At: ring.floorAt}, history.Position{Sequence: ring.last, At: ring.lastAt}
	if floor != model.floor || last != model.last || ring.fact != model.fact {
		t.Errorf("above %v up to %v, the newest fact %d; want %v, %v, %d", floor, last, ring.fact, model.floor, model.last, model.fact)
	}
	for range 5 {
		sequence := ring.floor + random.Uint64N(ring.last-ring.floor+3)
		if chance(random, 4) {
			sequence = oneOf(random, ring.floor, ring.last)
		}
		if got, want := ring.after(sequence), model.after(sequence); got != want {
			t.Errorf("what follows %d begins at %d, want %d", sequence, got, want)
		}
		if got, want := ring.facts(sequence), model.facts(sequence); got != want {
			t.Errorf("%d facts follow %d, want %d", got, sequence, want)
		}
		place, exact := model.placeOf(sequence)
		if got := ring.placeOf(sequence); got != place {
			t.Errorf("the place at %d is %v, want %v", sequence, got, place)
		}
		if at, known := ring.timeOf(sequence); known != exact || known && at != place.At {
			t.Errorf("%d was stored at %v (%v), want %v (%v)", sequence, at, known, place.At, exact)
		}
		m := Membership{user: oneOf(random, "ana", "luis", "marta", "nobody"), since: sequence}
		if chance(random, 2) {
			m.since = random.Uint64N(ring.last + 1)
		}
		if got, want := ring.end(m), model.end(m); got != want {
			t.Errorf("%v ended at %d, want %d", m, got, want)
		}
	}
}

// What has left the ring is not held by it any longer.
func TestRingLetsGo(t *testing.T) {
	t.Parallel()
	var r ring
	for sequence := range uint64(ringEntries + 10) {
		r.append(&entry{sequence: sequence + 1, size: 1})
	}
	before := r.entries
	r.append(&entry{sequence: ringEntries + 11, size: 1})
	if before[0] != nil {
		t.Error("an entry that has left is still referred to")
	}
	if r.reset(history.Position{Sequence: 5}, true); r.bytes != 0 || r.head() != ringEntries+11 {
		t.Errorf("after a reset it holds %d bytes, and its next position is %d", r.bytes, r.head())
	}
}
