package session

import (
	"sync"
	"time"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
)

// endInterval is how often is looked for waits that are over.
const endInterval = 100 * time.Millisecond

// wait is an entry of this node that waits for its session, as it was written.
type wait struct {
	key        string
	generation uint64
	revision   uint64
}

// waits are the entries of this node that wait for their sessions. Others go by what
// this node writes, so it is this node that ends them, whatever has become of the
// sessions: an entry that was written again has another revision and is left alone. The
// bucket bounds them: each is an entry there, and was a session here. The zero value
// has none.
type waits struct {
	mu    sync.Mutex
	byRef map[string]map[string]*timedWait // by the session's reference and the key
}

// timedWait is a wait with its end, by our clock.
type timedWait struct {
	wait
	until     time.Time
	prolonged bool
}

// add has a wait end at a time.
func (w *waits) add(added wait, until time.Time) {
	_, name, err := subjects.ParsePresenceKey(added.key)
	if err != nil {
		return
	}
	_, _, ref, err := subjects.ParseSeat(name)
	if err != nil {
		return // nobody's session
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byRef == nil {
		w.byRef = make(map[string]map[string]*timedWait)
	}
	if w.byRef[ref] == nil {
		w.byRef[ref] = make(map[string]*timedWait)
	}
	if known := w.byRef[ref][added.key]; known == nil || known.revision < added.revision {
		w.byRef[ref][added.key] = &timedWait{wait: added, until: until}
	}
}

// prolong gives a session that has come back, on whichever node, the time to say where
// it sits: one whose wait ends in between would be seen to go.
func (w *waits) prolong(ref string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, known := range w.byRef[ref] {
		if !known.prolonged {
			known.prolonged, known.until = true, known.until.Add(seat.Leeway/2)
		}
	}
}

// take takes out the waits that are over.
func (w *waits) take(over func(time.Time) bool) (ended []wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ref, known := range w.byRef {
		for key, one := range known {
			if over(one.until) {
				ended = append(ended, one.wait)
				delete(known, key)
			}
		}
		if len(known) == 0 {
			delete(w.byRef, ref)
		}
	}
	return ended
}
