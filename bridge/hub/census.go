package hub

import (
	"cmp"
	"maps"
	"slices"

	"github.com/latido/latido/bridge/wire"
)

// census counts the members that were told, by user and by key, and knows whom a
// difference brought first and took last.
type census struct{ users, keys tally }

func newCensus() census { return census{tally{now: map[string]int{}}, tally{now: map[string]int{}}} }

// add counts a member that is told.
func (c *census) add(m wire.Member) {
	c.users.shift(m.User, 1)
	c.keys.shift(cmp.Or(m.Key, m.Ref), 1)
}

// remove takes back a member that was told.
func (c *census) remove(m wire.Member) {
	c.users.shift(m.User, -1)
	c.keys.shift(cmp.Or(m.Key, m.Ref), -1)
}

// turnover is what came of it since the last time.
func (c *census) turnover() (users, keys wire.Turnover) {
	return c.users.turnover(), c.keys.turnover()
}

// tell counts some members, and says what came of it.
func (c *census) tell(members []wire.Member) (users, keys wire.Turnover) {
	for _, m := range members {
		c.add(m)
	}
	return c.turnover()
}

type tally struct {
	now    map[string]int // none is 0
	before map[string]int // of those that were shifted since the last turnover
}

func (t *tally) shift(name string, by int) {
	if t.before == nil {
		t.before = make(map[string]int)
	}
	if _, shifted := t.before[name]; !shifted {
		t.before[name] = t.now[name]
	}
	if t.now[name] += by; t.now[name] == 0 {
		delete(t.now, name)
	}
}

func (t *tally) turnover() (over wire.Turnover) {
	for _, name := range slices.Sorted(maps.Keys(t.before)) {
		switch was, is := t.before[name] > 0, t.now[name] > 0; {
		case is && !was:
			over.Came = append(over.Came, name)
		case was && !is:
			over.Went = append(over.Went, name)
		}
	}
	t.before = nil
	return over
}
