package bridge

import (
	"encoding/json"
	"testing"

	"github.com/latido/latido/bridge/wire"
)

func someone(ref, node, meta string) *record {
	return &record{Member: wire.Member{User: "ana", Ref: ref, Meta: json.RawMessage(meta)}, Node: node}
}

func TestRoster(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before, between        func(*roster)
		joins, updates, leaves int
	}{
		"a join": {between: func(r *roster) { r.apply("a", 1, someone("a", "n", "1")) }, joins: 1},
		"a leave and a return between two tellings are no news": {
			before:  func(r *roster) { r.apply("a", 1, someone("a", "n", "1")) },
			between: func(r *roster) { r.apply("a", 2, nil); r.apply("a", 3, someone("a", "m", "1")) },
		},
		"grace is no news": {
			before:  func(r *roster) { r.apply("a", 1, someone("a", "n", "1")) },
			between: func(r *roster) { r.apply("a", 2, someone("a", "", "1")) },
		},
		"an update": {
			before:  func(r *roster) { r.apply("a", 1, someone("a", "n", "1")) },
			between: func(r *roster) { r.apply("a", 2, someone("a", "n", "2")) }, updates: 1,
		},
		"older than what is known": {
			before:  func(r *roster) { r.apply("a", 5, someone("a", "n", "1")) },
			between: func(r *roster) { r.apply("a", 4, nil) },
		},
		"of a dead node": {between: func(r *roster) { r.apply("a", 1, someone("a", "dead", "1")) }},
		"a snapshot that is older than a departure revives nobody": {
			before: func(r *roster) { r.apply("a", 1, someone("a", "n", "1")) },
			between: func(r *roster) {
				r.begin()
				r.apply("a", 3, nil)
				r.apply("a", 1, someone("a", "n", "1"))
				r.finish(2, map[string]bool{"a": true})
			},
			leaves: 1,
		},
		"a feed that lags behind the snapshot revives nobody": {
			between: func(r *roster) {
				r.begin()
				r.apply("a", 2, nil)
				r.finish(2, map[string]bool{"a": true})
				r.change("a", 1, someone("a", "n", "1"))
			},
		},
		"who is not in the snapshot has left": {
			before: func(r *roster) { r.apply("a", 1, someone("a", "n", "1")); r.apply("b", 9, someone("b", "n", "1")) },
			between: func(r *roster) {
				r.begin()
				r.finish(5, map[string]bool{})
			},
			leaves: 1,
		},
	} {
		r := newRoster(func(node string) bool { return node != "dead" })
		r.finish(0, nil)
		if test.before != nil {
			test.before(r)
			r.settle("app:x")
		}
		test.between(r)
		diff, news := r.settle("app:x")
		if len(diff.Joins) != test.joins || len(diff.Updates) != test.updates || len(diff.Leaves) != test.leaves {
			t.Errorf("%s: %+v", name, diff)
		}
		if news != (test.joins+test.updates+test.leaves > 0) {
			t.Errorf("%s: news %v", name, news)
		}
	}
}
