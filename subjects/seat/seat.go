// Package seat reads and writes the bucket "presence": it answers "who sits
// there, when several nodes have something to say of it?".
//
// A seat is where one session of a user sits on a channel. Each node writes below
// its own name only, so a session that came back through another node has an
// entry of each. The entry is one of three: it is held by the node, whose lease
// keeps it; it waits for its session to come back, for a while that is written in
// it; or it was left. What the nodes say is put together by these rules:
//
//   - Only the newest generation of the session speaks. A generation is one
//     connection: whoever comes back has a greater one, on whichever node, and what
//     is still written for the connection before says nothing, however late.
//   - Who holds a seat sits there as long as the node is there.
//   - Who waits is waited for.
//
// So a node cannot end what another one holds, nor bring back who has said goodbye
// elsewhere, by what it writes late for a connection that broke.
//
// The node that wrote a wait ends it, by writing that the entry was left. Others go
// by that, however late it comes, so that all of them tell the same: they time a wait
// only where its node is not there to end it, from when the entry came.
//
// Bridges and the presence service both go by this package. It imports subjects,
// subjects/topology and nats.go.
package seat

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects/topology"
)

// Leeway is how much later than is written in it a node that is there may end a wait:
// for a session that is on its way back, or because the bus was away.
const Leeway = 5 * time.Second

// Nodes are the nodes as their reader knows them.
type Nodes interface {
	// Here says whether a node is there, and so those whom it holds.
	Here(node string) bool
	// Keeps says whether a node is there to end the waits that it wrote.
	Keeps(node string) bool
	// Over says whether a time has surely come.
	Over(at time.Time) bool
}

// Value is what a reader makes of an entry's JSON.
type Value interface {
	// Waits is for how long the session may come back, from when the entry was
	// written; 0 means that it is there.
	Waits() time.Duration
}

// Entry is what one node says of a seat.
type Entry[V Value] struct {
	Node       string
	Sequence   uint64 // of the entry, in the bucket
	Generation uint64 // of the session: which of its connections the entry speaks for
	Left       bool
	Value      V         // of who holds or waits
	Until      time.Time // when who waits is not waited for any longer; zero for who holds
}

// Read reads an entry that was written a while ago. A value that is none of ours
// is one that was left.
func Read[V Value](node string, sequence uint64, header nats.Header, data []byte, age time.Duration) Entry[V] {
	e := Entry[V]{Node: node, Sequence: sequence}
	if generation, err := strconv.ParseUint(header.Get(headerGeneration), 10, 64); err == nil {
		e.Generation = generation
	}
	e.Left = header.Get(headerOperation) != "" || json.Unmarshal(data, &e.Value) != nil
	if !e.Left && e.Value.Waits() > 0 {
		if rest := e.Value.Waits() - age; rest > -Leeway {
			e.Until = time.Now().Add(rest)
		} else {
			e.Left = true // whoever reads it late does not wait again
		}
	}
	return e
}

// Waits tells that the session may come back.
func (e Entry[V]) Waits() bool { return !e.Left && !e.Until.IsZero() }

// Ended tells that a wait is over, whether somebody writes so or not: its node is not
// there to do it, or the bucket must have dropped the entry by now.
func (e Entry[V]) Ended(nodes Nodes) bool {
	return e.Waits() && nodes.Over(e.Until) && (!nodes.Keeps(e.Node) || nodes.Over(e.Until.Add(topology.MarkerTTL)))
}

// Overdue tells that the end of a wait should have been written. Whoever has been told
// of the session is told of its end when it is written or [Entry.Ended]; nobody else is
// told of it any more.
func (e Entry[V]) Overdue(nodes Nodes) bool {
	return e.Ended(nodes) || e.Waits() && nodes.Over(e.Until.Add(Leeway))
}

// Holds tells that the session is there, as far as its node is.
func (e Entry[V]) Holds() bool { return !e.Left && e.Until.IsZero() }

// Following is the generation of a connection that takes the seat after an entry:
// its own, or the next one where the clocks of two nodes have it otherwise.
func (e Entry[V]) Following(own uint64) uint64 { return max(own, e.Generation+1) }

// Outranks tells that an entry speaks for a newer connection of the session than
// one of a generation that was written at a sequence. Two connections that began
// in the same moment are told apart by who wrote last.
func (e Entry[V]) Outranks(generation, sequence uint64) bool {
	return e.Generation > generation || e.Generation == generation && e.Sequence > sequence
}

// Seat is what the nodes say of a seat, one entry each. The zero value is a seat
// that nobody has ever taken.
type Seat[V Value] []Entry[V]

// Take takes an entry in, unless a newer one of its node is known.
func (s Seat[V]) Take(e Entry[V]) (taken Seat[V], news bool) {
	for i, known := range s {
		if known.Node != e.Node {
			continue
		}
		if known.Sequence >= e.Sequence {
			return s, false
		}
		s[i] = e
		return s, true
	}
	return append(s, e), true
}

// Shown is the entry by which somebody sits there, if anybody does. here says
// which nodes are there.
func (s Seat[V]) Shown(here func(node string) bool) (shown Entry[V], ok bool) {
	var newest uint64
	for _, e := range s {
		newest = max(newest, e.Generation)
	}
	for _, e := range s {
		if e.Generation == newest && e.Holds() && e.Sequence > shown.Sequence && here(e.Node) {
			shown, ok = e, true
		}
	}
	if ok {
		return shown, true
	}
	for _, e := range s {
		if e.Generation == newest && e.Waits() {
			return e, true
		}
	}
	return shown, false
}

// End has those leave whose wait is over, as [Entry.Ended] or [Entry.Overdue] tell, and
// says whether anybody did.
func (s Seat[V]) End(over func(e Entry[V], nodes Nodes) bool, nodes Nodes) (news bool) {
	for i, e := range s {
		if e.Waits() && over(e, nodes) {
			s[i].Left, news = true, true
		}
	}
	return news
}

// Next is when the first wait ends, by what is written; zero is never.
func (s Seat[V]) Next() (next time.Time) {
	for _, e := range s {
		if e.Waits() && (next.IsZero() || e.Until.Before(next)) {
			next = e.Until
		}
	}
	return next
}

// Vacant tells that nobody holds the seat or is waited for.
func (s Seat[V]) Vacant() bool {
	return !slices.ContainsFunc(s, func(e Entry[V]) bool { return !e.Left })
}

// Without forgets the entries that drop is true of.
func (s Seat[V]) Without(drop func(Entry[V]) bool) Seat[V] { return slices.DeleteFunc(s, drop) }
