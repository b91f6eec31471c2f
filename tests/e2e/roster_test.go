package e2e

import (
	"testing"
	"time"

	"github.com/latido/latido/schemas/bridge"
)

func TestRosterCountsWhoCameAndWent(t *testing.T) {
	t.Parallel()
	ana, eva, luis := bridge.Member{User: "ana", Ref: "a"}, bridge.Member{User: "eva", Ref: "e"}, bridge.Member{User: "luis", Ref: "l"}
	long := time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		notices              []presence
		members, come, leave int
	}{
		"a state":                   {[]presence{{State: []bridge.Member{ana, eva}, Count: 2}}, 2, 2, 0},
		"the same state again":      {[]presence{{State: []bridge.Member{ana}, Count: 1}, {State: []bridge.Member{ana}, Count: 1}}, 1, 1, 0},
		"a state in two pages":      {[]presence{{State: []bridge.Member{ana, eva}, Count: 2}, {State: []bridge.Member{eva}, Count: 2}, {Joins: []bridge.Member{ana}, Count: 2}}, 2, 2, 0},
		"a state that lacks one":    {[]presence{{State: []bridge.Member{ana, eva}, Count: 2}, {State: []bridge.Member{eva}, Count: 1}}, 1, 2, 1},
		"an empty state":            {[]presence{{Joins: []bridge.Member{ana}, Count: 1}, {State: []bridge.Member{}, Count: 0}}, 0, 1, 1},
		"a flicker":                 {[]presence{{Joins: []bridge.Member{luis}, Count: 1}, {Leaves: []bridge.Leave{{User: "luis", Ref: "l"}}}, {Joins: []bridge.Member{luis}, Count: 1}}, 1, 2, 1},
		"an update is no edge":      {[]presence{{Joins: []bridge.Member{luis}, Count: 1}, {Updates: []bridge.Member{luis}, Count: 1}}, 1, 1, 0},
		"a change follows an empty": {[]presence{{State: []bridge.Member{}}, {Joins: []bridge.Member{luis}, Count: 1}}, 1, 1, 0},
	} {
		var r roster
		for _, notice := range test.notices {
			r.take(&notice)
			for ref := range r.since {
				r.since[ref] = long
			}
			for ref := range r.until {
				r.until[ref] = long
			}
		}
		come, left := 0, 0
		for _, n := range r.joins {
			come += n
		}
		for _, n := range r.leaves {
			left += n
		}
		if len(r.members) != test.members || come != test.come || left != test.leave {
			t.Errorf("%s: %d members, %d came, %d left", name, len(r.members), come, left)
		}
	}
	var r roster
	r.take(&presence{Joins: []bridge.Member{ana}, Count: 1})
	r.take(&presence{State: []bridge.Member{}})
	r.take(&presence{Joins: []bridge.Member{ana}, Count: 1})
	if r.joins["ana"] != 1 || r.leaves["ana"] != 0 {
		t.Errorf("a join that another bridge has not heard of yet: %v, %v", r.joins, r.leaves)
	}
	r.take(&presence{Leaves: []bridge.Leave{{User: "ana", Ref: "a"}}})
	r.take(&presence{State: []bridge.Member{ana}, Count: 1})
	r.take(&presence{Leaves: []bridge.Leave{{User: "ana", Ref: "a"}}})
	if r.joins["ana"] != 1 || r.leaves["ana"] != 1 {
		t.Errorf("a leave that another bridge has not heard of yet: %v, %v", r.joins, r.leaves)
	}
}
