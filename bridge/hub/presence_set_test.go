package hub

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects/seat"
)

// nodes are all there, but those that are gone, or have given their lease back.
type nodes struct {
	gone, parted map[string]bool
	now          int64 // in seconds
}

func (n *nodes) Here(node string) bool { return !n.gone[node] }

func (n *nodes) Keeps(node string) bool { return !n.gone[node] && !n.parted[node] }

func (n *nodes) Over(at time.Time) bool { return at.Unix() <= n.now }

// Who was waited for in vain is forgotten when the bucket has forgotten them.
func TestRosterForgets(t *testing.T) {
	t.Parallel()
	r := newPresenceSet(&nodes{gone: map[string]bool{"n": true}, now: 10})
	r.finish(0, nil)
	r.apply(at("a", "n", 2, "waits"))
	r.end(seat.Entry[Record].Ended)
	r.begin()
	r.finish(5, map[string]bool{})
	if len(r.seats) != 0 || len(r.waiting) != 0 {
		t.Errorf("%v, %v", r.seats, r.waiting)
	}
}

// at is what a node says of a seat: "held" with a meta, "waits", or "left".
func at(name, node string, sequence uint64, said string) PresenceChange {
	e := seat.Entry[Record]{Node: node, Sequence: sequence, Value: Record{Member: wire.Member{User: "ana", Ref: name}}}
	switch said {
	case "waits":
		e.Until, e.Value.Meta = time.Unix(10, 0), json.RawMessage("1")
	case "left":
		e.Left = true
	default:
		e.Value.Meta = json.RawMessage(said)
	}
	return PresenceChange{name, e}
}

func TestRoster(t *testing.T) {
	t.Parallel()
	apply := func(all ...PresenceChange) func(*presenceSet) {
		return func(r *presenceSet) {
			for _, s := range all {
				r.apply(s)
			}
		}
	}
	expire := func(seconds int64) func(*presenceSet) {
		return func(r *presenceSet) {
			r.nodes.(*nodes).now = seconds
			r.end(seat.Entry[Record].Ended)
		}
	}
	someoneComes := func(seconds int64) func(*presenceSet) {
		return func(r *presenceSet) {
			r.nodes.(*nodes).now = seconds
			r.end(seat.Entry[Record].Overdue)
		}
	}
	for name, test := range map[string]struct {
		before, between        func(*presenceSet)
		joins, updates, leaves int
	}{
		"a join": {between: apply(at("a", "n", 1, "1")), joins: 1},
		"a leave and a return between two tellings are no news": {
			before:  apply(at("a", "n", 1, "1")),
			between: apply(at("a", "n", 2, "left"), at("a", "m", 3, "1")),
		},
		"grace is no news":                        {before: apply(at("a", "n", 1, "1")), between: apply(at("a", "n", 2, "waits"))},
		"nor is a grace that is not over":         {before: apply(at("a", "n", 2, "waits")), between: expire(9)},
		"nor one that is, until its node says so": {before: apply(at("a", "n", 2, "waits")), between: expire(69)},
		"who waited in vain has left": {
			before: apply(at("a", "n", 2, "waits")),
			between: func(r *presenceSet) {
				expire(10)(r)
				r.apply(at("a", "n", 3, "left"))
			},
			leaves: 1,
		},
		"also on a node that is gone":                     {before: apply(at("a", "dead", 2, "waits")), between: expire(10), leaves: 1},
		"and not sooner":                                  {before: apply(at("a", "dead", 2, "waits")), between: expire(9)},
		"also on one that has stopped":                    {before: apply(at("a", "parted", 2, "waits")), between: expire(10), leaves: 1},
		"and when the bucket drops them":                  {before: apply(at("a", "n", 2, "waits")), between: expire(70), leaves: 1},
		"who is overdue has left before somebody comes":   {before: apply(at("a", "n", 2, "waits")), between: someoneComes(15), leaves: 1},
		"and not before their node had time to say so":    {before: apply(at("a", "n", 2, "waits")), between: someoneComes(14)},
		"of nobody is told who was over when it was read": {before: expire(10), between: apply(at("a", "dead", 2, "waits"))},
		"nor does a snapshot that finds a moment of the grace left revive them": {
			before: func(r *presenceSet) {
				r.apply(at("a", "dead", 2, "waits"))
				expire(10)(r)
			},
			between: func(r *presenceSet) {
				r.begin()
				r.apply(at("a", "dead", 2, "waits"))
				r.finish(2, map[string]bool{"dead.a": true})
			},
		},
		"who came back elsewhere has not": {
			before:  apply(at("a", "n", 2, "waits"), at("a", "m", 3, "1")),
			between: expire(10),
		},
		"an update": {
			before:  apply(at("a", "n", 1, "1")),
			between: apply(at("a", "n", 2, "2")), updates: 1,
		},
		"older than what is known": {before: apply(at("a", "n", 5, "1")), between: apply(at("a", "n", 4, "left"))},
		"of a dead node":           {between: apply(at("a", "dead", 1, "1"))},
		"a snapshot that is older than a departure revives nobody": {
			before: apply(at("a", "n", 1, "1")),
			between: func(r *presenceSet) {
				r.begin()
				r.apply(at("a", "n", 3, "left"))
				r.apply(at("a", "n", 1, "1"))
				r.finish(2, map[string]bool{"n.a": true})
			},
			leaves: 1,
		},
		"a feed that lags behind the snapshot revives nobody": {
			between: func(r *presenceSet) {
				r.begin()
				r.apply(at("a", "n", 2, "left"))
				r.finish(2, map[string]bool{"n.a": true})
				r.change(at("a", "n", 1, "1"))
			},
		},
		"who is not in the snapshot has left": {
			before: apply(at("a", "n", 1, "1"), at("b", "n", 9, "1")),
			between: func(r *presenceSet) {
				r.begin()
				r.finish(5, map[string]bool{})
			},
			leaves: 1,
		},
	} {
		r := newPresenceSet(&nodes{gone: map[string]bool{"dead": true}, parted: map[string]bool{"parted": true}})
		r.finish(0, nil)
		if test.before != nil {
			test.before(r)
			r.diff("app:x")
		}
		test.between(r)
		diff, news := r.diff("app:x")
		if len(diff.Joins) != test.joins || len(diff.Updates) != test.updates || len(diff.Leaves) != test.leaves {
			t.Errorf("%s: %+v", name, diff)
		}
		if news != (test.joins+test.updates+test.leaves > 0) {
			t.Errorf("%s: news %v", name, news)
		}
	}
}
