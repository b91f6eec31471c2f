package hub

import (
	"sort"
	"time"

	"github.com/latido/latido/subjects/history"
)

// Bounds of one channel's ring. When it is full the oldest entries go: who still
// needs them reads them from the stream, or, on a live channel, has lost them.
const (
	ringEntries = 1024
	ringBytes   = 1 << 20
)

// ring is the recent tail of a channel. Entries are addressed by a position that
// only grows; facts in it are contiguous: every fact of the channel above floor
// and up to last is in it.
type ring struct {
	entries []*entry
	base    uint64    // position of entries[0]
	floor   uint64    // sequence above which every fact is here
	last    uint64    // sequence up to which there is none that is not here, or below floor
	fact    uint64    // newest fact, here or at floor; 0 when there is none
	ended   []*entry  // facts up to floor that have lately ended memberships
	floorAt time.Time // when the stream's message at floor was stored, or zero
	lastAt  time.Time // and the one at last
	bytes   int
}

// head is the position of the next entry.
func (r *ring) head() uint64 { return r.base + uint64(len(r.entries)) }

// reset empties the ring: it now holds every fact above the watermark, which is
// the newest fact, or the stream's end while there is none.
func (r *ring) reset(watermark history.Position, fact bool) {
	r.base, r.entries, r.ended, r.bytes, r.fact = r.head(), nil, nil, 0, 0
	r.floor, r.last = watermark.Sequence, watermark.Sequence
	r.floorAt, r.lastAt = watermark.At, watermark.At
	if fact {
		r.fact = watermark.Sequence
	}
}

// follows says whether it is proven that no fact is missing between the newest one
// here and one that names its predecessor. One that names none may be the first, or
// follow what was never heard here and is gone: then only the next number proves it.
func (r *ring) follows(sequence, previous uint64) bool {
	return previous == r.fact && (previous > 0 || sequence == r.last+1)
}

// reach says that there are no facts up to a position but those that are here.
func (r *ring) reach(p history.Position) {
	if p.Sequence > r.last {
		r.last, r.lastAt = p.Sequence, p.At
	}
}

// timeOf is when the message at a sequence that is not below floor was stored;
// here is false when the ring has no fact there.
func (r *ring) timeOf(sequence uint64) (at time.Time, here bool) {
	switch sequence {
	case r.last:
		return r.lastAt, true
	case r.floor:
		return r.floorAt, true
	}
	before := r.after(sequence)
	if before == r.base {
		return time.Time{}, false
	}
	e := r.get(before - 1)
	return e.stored, e.sequence == sequence
}

// placeOf is the newest place in the ring at or before a sequence that is not below
// floor.
func (r *ring) placeOf(sequence uint64) history.Position {
	if sequence >= r.last {
		return history.Position{Sequence: r.last, At: r.lastAt}
	}
	for position := r.after(sequence); position > r.base; position-- {
		if e := r.get(position - 1); e.sequence > 0 {
			return history.Position{Sequence: e.sequence, At: e.stored}
		}
	}
	return history.Position{Sequence: r.floor, At: r.floorAt}
}

// append adds an entry; a fact must be newer than last.
func (r *ring) append(e *entry) {
	if e.sequence > 0 {
		r.last, r.lastAt = e.sequence, e.stored
	}
	if e.sequence > 0 && !e.hole {
		r.fact = e.sequence
	}
	e.at = r.last
	r.entries = append(r.entries, e)
	r.bytes += e.size
	drop := 0
	for len(r.entries)-drop > ringEntries || r.bytes > ringBytes && drop < len(r.entries)-1 {
		r.forget(r.entries[drop])
		drop++
	}
	r.trim(drop)
}

func (r *ring) forget(e *entry) {
	r.remember(e)
	r.bytes -= e.size
	if e.sequence > 0 {
		r.floor, r.floorAt = e.sequence, e.stored
	}
}

// erase drops the facts up to a sequence, and what came before the last of them.
func (r *ring) erase(upTo uint64) {
	drop := 0
	for i, e := range r.entries {
		if e.sequence > upTo {
			break
		}
		if e.sequence > 0 {
			drop = i + 1
		}
	}
	for _, e := range r.entries[:drop] {
		r.forget(e)
	}
	r.trim(drop)
}

// replace puts an entry in the place of the one with an index, as of whom it ended
// the membership, too.
func (r *ring) replace(i int, e *entry) {
	old := r.entries[i]
	e.at, e.ends = old.at, old.ends
	r.bytes += e.size - old.size
	r.entries[i] = e
}

func (r *ring) trim(n int) {
	clear(r.entries[:n])
	r.entries = r.entries[n:]
	r.base += uint64(n)
}

// get is the entry at a position between base and head.
func (r *ring) get(position uint64) *entry { return r.entries[position-r.base] }

// after is the position of the first entry behind the fact with a sequence, which
// must not be below floor.
func (r *ring) after(sequence uint64) uint64 {
	i := sort.Search(len(r.entries), func(i int) bool { return r.entries[i].at >= sequence })
	if i < len(r.entries) && r.entries[i].sequence == sequence && sequence > 0 {
		i++
	}
	return r.base + uint64(i)
}

// facts counts the facts above a sequence, which must not be below floor.
func (r *ring) facts(sequence uint64) uint64 {
	var n uint64
	for position := r.after(sequence); position < r.head(); position++ {
		if e := r.get(position); e.sequence > sequence && !e.hole {
			n++
		}
	}
	return n
}
