package kit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Seat is one session of a user on one channel.
type Seat struct{ Channel, User, Ref string }

// CompareSeats puts seats in order.
func CompareSeats(a, b Seat) int {
	return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.User, b.User), cmp.Compare(a.Ref, b.Ref))
}

// Change is a change of presence as it was told.
type Change struct {
	Seat
	Came bool // or went
	At   time.Time
}

// String is a line of a report.
func (e Change) String() string {
	if e.Came {
		return e.At.Format("05.000 ") + e.Ref + " came"
	}
	return e.At.Format("05.000 ") + e.Ref + " left"
}

// Ledger is who is there as one client was told, and every change of it. A state
// that differs from what the client knew is a change like any other. The zero value
// has been told nothing.
type Ledger struct {
	// spread is how much later than another bridge a bridge may tell of a change:
	// what it waits to tell many at once, and the way there. A client that moves
	// between bridges may so be told a state that is older than what it knows, which
	// is no change.
	spread time.Duration

	mu      monitor
	lists   map[string]*list // by channel
	changes []Change
}

// list is one channel. While a state comes in pages, before is who was there
// until then.
type list struct {
	here, before map[Seat]bool
	paging       bool
	count        int // as it was told
}

// take notes what was told.
func (l *Ledger) take(n *presence) {
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
		l.join(known, Seat{n.Channel, member.User, member.Ref})
	}
	for _, member := range n.Updates {
		known.here[Seat{n.Channel, member.User, member.Ref}] = true
	}
	for _, leave := range n.Leaves {
		seat := Seat{n.Channel, leave.User, leave.Ref}
		delete(known.here, seat)
		delete(known.before, seat)
		l.changes = append(l.changes, Change{seat, false, time.Now()})
	}
	known.count = n.Count
	if known.paging && len(known.here) >= n.Count {
		l.endState(known)
	}
	l.mu.wake()
}

func (l *Ledger) join(known *list, seat Seat) {
	switch {
	case known.here[seat] || known.before[seat]:
	case known.paging && l.retract(seat, false): // it has not left yet on another bridge
	default:
		l.changes = append(l.changes, Change{seat, true, time.Now()})
	}
	known.here[seat] = true
}

// endState ends a state: whoever it lacks has gone, unless they have not come yet
// on another bridge.
func (l *Ledger) endState(known *list) {
	for seat := range known.before {
		if !known.here[seat] && !l.retract(seat, true) {
			l.changes = append(l.changes, Change{seat, false, time.Now()})
		}
	}
	known.before, known.paging = nil, false
}

// retract takes back a seat's last change when it is such a one, and of just now.
func (l *Ledger) retract(seat Seat, came bool) bool {
	for i := len(l.changes) - 1; i >= 0 && time.Since(l.changes[i].At) < l.spread; i-- {
		if l.changes[i].Seat == seat {
			if l.changes[i].Came != came {
				return false
			}
			l.changes = slices.Delete(l.changes, i, i+1)
			return true
		}
	}
	return false
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
	slices.SortFunc(seats, CompareSeats)
	return seats
}

// Count is how many are on a channel, as it was told, and whether anything was.
func (l *Ledger) Count(channel string) (count int, told bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.lists[channel]; known != nil {
		return known.count, true
	}
	return 0, false
}

// Changes are the changes since the last Reset.
func (l *Ledger) Changes() []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.changes)
}

// Reset begins anew: the changes until now are forgotten.
func (l *Ledger) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = nil
}

// Await blocks until exactly the wanted are there, and says when that was.
func (l *Ledger) Await(ctx context.Context, wanted []Seat) (time.Time, error) {
	wanted = slices.SortedFunc(slices.Values(wanted), CompareSeats)
	err := l.mu.await(ctx, func() bool { return l.size() == len(wanted) && slices.Equal(l.here(), wanted) })
	if err != nil {
		return time.Time{}, fmt.Errorf("list: %w: %s", err, Difference(l.Here(), wanted))
	}
	return time.Now(), nil
}

// AwaitGone blocks until none of some seats is there.
func (l *Ledger) AwaitGone(ctx context.Context, seats []Seat) error {
	return l.mu.await(ctx, func() bool {
		return !slices.ContainsFunc(seats, func(seat Seat) bool {
			known := l.lists[seat.Channel]
			return known != nil && known.here[seat]
		})
	})
}

// size is how many are there: sooner known than who.
func (l *Ledger) size() (size int) {
	for _, known := range l.lists {
		size += len(known.here)
	}
	return size
}

// Difference says in what two lists of seats differ, with a few examples.
func Difference(got, want []Seat) string {
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
	slices.SortFunc(surplus, CompareSeats)
	slices.SortFunc(missing, CompareSeats)
	return fmt.Sprintf("%d there, %d wanted, %d too many %v, %d missing %v",
		len(got), len(want), len(surplus), surplus[:min(most, len(surplus))], len(missing), missing[:min(most, len(missing))])
}
