package kit

import (
	"testing"
	"time"

	"github.com/latido/latido/schemas/bridge"
)

func TestLedgerCountsWhoCameAndWent(t *testing.T) {
	t.Parallel()
	ana, eva, luis := bridge.Member{User: "ana", Ref: "a"}, bridge.Member{User: "eva", Ref: "e"}, bridge.Member{User: "luis", Ref: "l"}
	for name, test := range map[string]struct {
		notices              []presence
		members, come, leave int
	}{
		"a state":                   {[]presence{{State: []bridge.Member{ana, eva}, Count: 2}}, 2, 2, 0},
		"the same state again":      {[]presence{{State: []bridge.Member{ana}, Count: 1}, {State: []bridge.Member{ana}, Count: 1}}, 1, 1, 0},
		"a state in two pages":      {[]presence{{State: []bridge.Member{ana, eva}, Count: 2}, {State: []bridge.Member{eva}, Count: 2}, {Joins: []bridge.Member{ana}, Count: 2}}, 2, 2, 0},
		"a state that lacks one":    {[]presence{{State: []bridge.Member{ana, eva}, Count: 2}, {State: []bridge.Member{eva}, Count: 1}}, 1, 2, 1},
		"an empty state":            {[]presence{{Joins: []bridge.Member{ana}, Count: 1}, {State: []bridge.Member{}, Count: 0}}, 0, 1, 1},
		"a leave between pages":     {[]presence{{State: []bridge.Member{ana, eva}, Count: 2}, {State: []bridge.Member{eva}, Count: 2}, {Leaves: []bridge.Leave{{User: "ana", Ref: "a"}}, Count: 1}}, 1, 2, 1},
		"a flicker":                 {[]presence{{Joins: []bridge.Member{luis}, Count: 1}, {Leaves: []bridge.Leave{{User: "luis", Ref: "l"}}}, {Joins: []bridge.Member{luis}, Count: 1}}, 1, 2, 1},
		"an update is no change":    {[]presence{{Joins: []bridge.Member{luis}, Count: 1}, {Updates: []bridge.Member{luis}, Count: 1}}, 1, 1, 0},
		"a change follows an empty": {[]presence{{State: []bridge.Member{}}, {Joins: []bridge.Member{luis}, Count: 1}}, 1, 1, 0},
	} {
		var l Ledger
		for _, notice := range test.notices {
			l.take(&notice)
		}
		come, left := tally(&l)
		if here := len(l.Here()); here != test.members || come != test.come || left != test.leave {
			t.Errorf("%s: %d members, %d came, %d left", name, here, come, left)
		}
	}
}

// A client that moves to another bridge may be told less there than it knows.
func TestLedgerOfManyBridges(t *testing.T) {
	t.Parallel()
	ana := bridge.Member{User: "ana", Ref: "a"}
	l := Ledger{spread: time.Hour}
	l.take(&presence{Joins: []bridge.Member{ana}, Count: 1})
	l.take(&presence{State: []bridge.Member{}})
	l.take(&presence{Joins: []bridge.Member{ana}, Count: 1})
	if come, left := tally(&l); come != 1 || left != 0 {
		t.Errorf("a join that another bridge has not heard of yet: %d came, %d left", come, left)
	}
	l.take(&presence{Leaves: []bridge.Leave{{User: "ana", Ref: "a"}}})
	l.take(&presence{State: []bridge.Member{ana}, Count: 1})
	l.take(&presence{Leaves: []bridge.Leave{{User: "ana", Ref: "a"}}})
	if come, left := tally(&l); come != 1 || left != 1 {
		t.Errorf("a leave that another bridge has not heard of yet: %d came, %d left", come, left)
	}
}

func tally(l *Ledger) (come, left int) {
	for _, change := range l.Changes() {
		if change.Came {
			come++
		} else {
			left++
		}
	}
	return come, left
}
