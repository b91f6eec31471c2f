package es

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

const (
	aggregatesKept = 10_000 // aggregates remembered by a process, the least recently used go first
	receiptsKept   = 64     // latest facts of an aggregate whose command ids are remembered
)

// receipt is what a repeated command is answered from.
type receipt struct {
	id, digest string
	seq        uint64
	refusal    schemas.Refusal // the answer, when it has a code
}

// memory is what is known of an aggregate. It is never changed, only replaced.
type memory[S any] struct {
	state     S
	seq       uint64    // of the last fact in state
	at        time.Time // when that was stored, or zero
	receipts  []receipt // oldest first
	confirmed time.Time // when seq was last known to be the newest
}

func (m memory[S]) receipt(id string) (receipt, bool) {
	for _, r := range slices.Backward(m.receipts) {
		if r.id == id {
			return r, true
		}
	}
	return receipt{}, false
}

// after returns the memory with one more fact in it. Only the newest memory of
// an aggregate may be carried on, because receipts share their array.
func (m memory[S]) after(f fact, evolve func(S, fact) S, now time.Time) memory[S] {
	receipts := m.receipts
	if len(receipts) >= 2*receiptsKept {
		receipts = append(make([]receipt, 0, 2*receiptsKept), receipts[len(receipts)-receiptsKept+1:]...)
	}
	return memory[S]{
		state:     evolve(m.state, f),
		seq:       f.seq,
		at:        f.at,
		receipts:  append(receipts, receipt{f.id, f.digest, f.seq, f.refusal}),
		confirmed: now,
	}
}

// memories holds the most recently used aggregates of a kind.
type memories[S any] struct {
	evolve func(S, fact) S

	mu    sync.Mutex
	known map[subjects.Channel]*list.Element // of *entry[S]
	used  *list.List                         // most recently used first
}

type entry[S any] struct {
	channel subjects.Channel
	memory  memory[S]
}

func newMemories[S any](evolve func(S, fact) S) *memories[S] {
	return &memories[S]{evolve: evolve, known: make(map[subjects.Channel]*list.Element), used: list.New()}
}

// recall returns what is remembered; the zero memory is that of a channel
// without facts.
func (m *memories[S]) recall(channel subjects.Channel) memory[S] {
	m.mu.Lock()
	defer m.mu.Unlock()
	element, found := m.known[channel]
	if !found {
		return memory[S]{}
	}
	m.used.MoveToFront(element)
	return element.Value.(*entry[S]).memory
}

// holds reports whether the channel is remembered.
func (m *memories[S]) holds(channel subjects.Channel) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, found := m.known[channel]
	return found
}

// learn remembers facts that follow directly on the fact with sequence after,
// and the time at which the last of them was the newest. What is remembered
// already is skipped, unless it is later than what has a higher number: then all is
// forgotten, since the stream has another past. When the facts do not follow on it they are not believed,
// and the memory is marked as unconfirmed.
func (m *memories[S]) learn(channel subjects.Channel, after uint64, facts []fact, now time.Time) memory[S] {
	m.mu.Lock()
	defer m.mu.Unlock()
	element, found := m.known[channel]
	if !found {
		element = m.used.PushFront(&entry[S]{channel: channel})
		m.known[channel] = element
		m.trim()
	}
	e := element.Value.(*entry[S])
	for _, f := range facts {
		switch {
		case f.seq <= e.memory.seq && f.at.After(e.memory.at) && !e.memory.at.IsZero():
			m.drop(element) // the stream has another past
			return memory[S]{}
		case f.seq == e.memory.seq && !f.at.IsZero():
			e.memory.at = f.at
		case f.seq <= e.memory.seq:
		case after == e.memory.seq:
			e.memory = e.memory.after(f, m.evolve, now)
		default:
			e.memory.confirmed = time.Time{}
			return e.memory
		}
		after = f.seq
	}
	if after == e.memory.seq && now.After(e.memory.confirmed) {
		e.memory.confirmed = now
	}
	return e.memory
}

// forget drops the channel, so that it is read from the start.
func (m *memories[S]) forget(channel subjects.Channel) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if element, found := m.known[channel]; found {
		m.drop(element)
	}
}

func (m *memories[S]) drop(element *list.Element) {
	m.used.Remove(element)
	delete(m.known, element.Value.(*entry[S]).channel)
}

func (m *memories[S]) trim() {
	for m.used.Len() > aggregatesKept {
		m.drop(m.used.Back())
	}
}
