package kit

import (
	"fmt"
	"slices"
)

// Owed says how often each seat must be told to have come and gone.
type Owed struct{ Came, Went map[Seat]int }

// Judge compares what was told with what happened, and returns each seat that was
// told of too often or not often enough.
func (o Owed) Judge(changes []Change) []string {
	came, went := map[Seat]int{}, map[Seat]int{}
	seats := map[Seat]bool{}
	for _, change := range changes {
		seats[change.Seat] = true
		if change.Came {
			came[change.Seat]++
		} else {
			went[change.Seat]++
		}
	}
	for _, counts := range []map[Seat]int{o.Came, o.Went} {
		for seat := range counts {
			seats[seat] = true
		}
	}
	var wrong []string
	for seat := range seats {
		if came[seat] != o.Came[seat] || went[seat] != o.Went[seat] {
			wrong = append(wrong, fmt.Sprintf("%v: told %d times that it came and %d times that it went, instead of %d and %d",
				seat, came[seat], went[seat], o.Came[seat], o.Went[seat]))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// Each owes every seat once.
func Each(seats []Seat) map[Seat]int {
	owed := map[Seat]int{}
	for _, seat := range seats {
		owed[seat]++
	}
	return owed
}
