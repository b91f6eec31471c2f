package faults

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/tests/e2e"
)

// Seat is one session of a user on one channel.
type Seat struct{ Channel, User, Ref string }

func (s Seat) compare(other Seat) int {
	return cmp.Or(cmp.Compare(s.Channel, other.Channel), cmp.Compare(s.User, other.User), cmp.Compare(s.Ref, other.Ref))
}

// Edge is a change of presence as it was told.
type Edge struct {
	Seat
	Came bool // or went
	At   time.Time
}

// Notice is what a bridge tells of presence: a state, or a change when State is nil.
type Notice struct {
	Channel string          `json:"channel"`
	State   []bridge.Member `json:"state"`
	Joins   []bridge.Member `json:"joins"`
	Leaves  []bridge.Leave  `json:"leaves"`
	Count   int             `json:"count"`
}

// Ledger is who is there as one peer was told, and every change of it. A state
// that differs from what the peer knew is a change like any other. The zero value
// has been told nothing.
type Ledger struct {
	mu    e2e.Monitor
	lists map[string]*list // by channel
	edges []Edge
}

// list is one channel. While a state comes in pages, before is who was there
// until then.
type list struct {
	here, before map[Seat]bool
	paging       bool
}

// take notes what was told.
func (l *Ledger) take(n *Notice) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lists == nil {
		l.lists = map[string]*list{}
	}
	known := l.lists[n.Channel]
	if known == nil {
		known = &list{here: map[Seat]bool{}}
		l.lists[n.Channel] = known
	}
	if n.State != nil {
		known.before, known.here, known.paging = known.here, map[Seat]bool{}, true
	}
	for _, member := range slices.Concat(n.State, n.Joins) {
		seat := Seat{n.Channel, member.User, member.Ref}
		if !known.here[seat] && !known.before[seat] {
			l.edges = append(l.edges, Edge{seat, true, time.Now()})
		}
		known.here[seat] = true
	}
	for _, leave := range n.Leaves {
		seat := Seat{n.Channel, leave.User, leave.Ref}
		delete(known.here, seat)
		l.edges = append(l.edges, Edge{seat, false, time.Now()})
	}
	if known.paging && len(known.here) >= n.Count {
		l.turn(known)
	}
	l.mu.Wake()
}

// turn ends a state: whoever it lacks has gone.
func (l *Ledger) turn(known *list) {
	for seat := range known.before {
		if !known.here[seat] {
			l.edges = append(l.edges, Edge{seat, false, time.Now()})
		}
	}
	known.before, known.paging = nil, false
}

// Here lists who is there, in order.
func (l *Ledger) Here() []Seat {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.here()
}

func (l *Ledger) here() []Seat {
	var seats []Seat
	for _, known := range l.lists {
		for seat := range known.here {
			seats = append(seats, seat)
		}
	}
	slices.SortFunc(seats, Seat.compare)
	return seats
}

// Edges are the changes since the last Turn.
func (l *Ledger) Edges() []Edge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.edges)
}

// Turn begins a new page: the changes until now are forgotten.
func (l *Ledger) Turn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.edges = nil
}

// Await blocks until exactly the wanted are there, and says when that was.
func (l *Ledger) Await(ctx context.Context, wanted []Seat) (time.Time, error) {
	wanted = slices.SortedFunc(slices.Values(wanted), Seat.compare)
	err := l.mu.Await(ctx, func() bool { return l.count() == len(wanted) && slices.Equal(l.here(), wanted) })
	if err != nil {
		return time.Time{}, fmt.Errorf("list: %w: %s", err, difference(l.Here(), wanted))
	}
	return time.Now(), nil
}

// AwaitGone blocks until none of some seats is there.
func (l *Ledger) AwaitGone(ctx context.Context, seats []Seat) error {
	return l.mu.Await(ctx, func() bool {
		return !slices.ContainsFunc(seats, func(seat Seat) bool {
			known := l.lists[seat.Channel]
			return known != nil && known.here[seat]
		})
	})
}

// count is how many are there: sooner known than who.
func (l *Ledger) count() (count int) {
	for _, known := range l.lists {
		count += len(known.here)
	}
	return count
}

// difference says in what two lists differ, with a few examples.
func difference(got, want []Seat) string {
	count := map[Seat]int{}
	for _, seat := range got {
		count[seat]++
	}
	for _, seat := range want {
		count[seat]--
	}
	var surplus, missing []Seat
	for seat, n := range count {
		switch {
		case n > 0:
			surplus = append(surplus, seat)
		case n < 0:
			missing = append(missing, seat)
		}
	}
	const most = 5
	slices.SortFunc(surplus, Seat.compare)
	slices.SortFunc(missing, Seat.compare)
	return fmt.Sprintf("%d there, %d wanted, %d too many %v, %d missing %v",
		len(got), len(want), len(surplus), surplus[:min(most, len(surplus))], len(missing), missing[:min(most, len(missing))])
}
