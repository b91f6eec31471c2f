package e2e

import (
	"maps"
	"time"

	"github.com/latido/latido/schemas/bridge"
)

// roster is who is on a channel, as one client was told. The zero value has been
// told nothing.
type roster struct {
	told    bool
	members map[string]bridge.Member // by reference
	count   int
	joins   map[string]int // by user, what appeared: also what a state has that the one before had not
	leaves  map[string]int // by user, what vanished

	edges map[string][]string      // by user, when and why the counts changed
	since map[string]time.Time     // when each member appeared, by reference
	until map[string]time.Time     // when each member vanished, by reference
	stale map[string]bridge.Member // known before a state whose further pages are still to come
}

// spread is how much later than another bridge a bridge may tell of a join or a
// leave: what it waits to tell many at once, and the way there. A state that is
// not as new as what another bridge told is no edge.
const spread = time.Second

func (r *roster) take(notice *presence) {
	if r.members == nil {
		r.members, r.joins, r.leaves = map[string]bridge.Member{}, map[string]int{}, map[string]int{}
		r.edges, r.since, r.until = map[string][]string{}, map[string]time.Time{}, map[string]time.Time{}
	}
	if notice.State != nil {
		r.stale, r.members = r.members, map[string]bridge.Member{}
	}
	for _, member := range append(notice.State, notice.Joins...) {
		r.join(member)
	}
	for _, member := range notice.Updates {
		r.members[member.Ref] = member
	}
	for _, leave := range notice.Leaves {
		r.leave(leave.User, leave.Ref)
	}
	r.count, r.told = notice.Count, true
	if r.stale != nil && len(r.members) >= r.count {
		r.confirm()
	}
}

// confirm ends a state: whoever it lacks has left, unless its bridge may not have
// heard yet that they came.
func (r *roster) confirm() {
	for ref, member := range r.stale {
		switch _, here := r.members[ref]; {
		case here:
		case time.Since(r.since[ref]) < spread:
			r.joins[member.User]--
			r.note(member.User, ref, "has not come yet on another bridge")
		default:
			r.leave(member.User, ref)
			r.note(member.User, ref, "lacking in a state")
		}
	}
	r.stale = nil
}

func (r *roster) join(member bridge.Member) {
	_, known := r.members[member.Ref]
	_, before := r.stale[member.Ref]
	switch {
	case known || before:
	case r.stale != nil && time.Since(r.until[member.Ref]) < spread:
		r.leaves[member.User]--
		r.note(member.User, member.Ref, "has not left yet on another bridge")
	default:
		r.joins[member.User]++
		r.since[member.Ref] = time.Now()
		r.note(member.User, member.Ref, "came")
	}
	r.members[member.Ref] = member
}

func (r *roster) leave(user, ref string) {
	r.leaves[user]++
	r.until[ref] = time.Now()
	r.note(user, ref, "left")
	delete(r.members, ref)
}

func (r *roster) note(user, ref, what string) {
	r.edges[user] = append(r.edges[user], time.Now().Format("05.000 ")+ref+" "+what)
}

// rosterOf is who is on a channel, as the client was told until now.
func (c *Client) rosterOf(channel string) roster {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.follows[channel]
	if f == nil {
		return roster{}
	}
	copied := f.roster
	copied.members, copied.edges = maps.Clone(copied.members), maps.Clone(copied.edges)
	copied.joins, copied.leaves = maps.Clone(copied.joins), maps.Clone(copied.leaves)
	return copied
}
