package e2e

import (
	"maps"

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
}

func (r *roster) take(notice *presence) {
	if r.members == nil {
		r.members, r.joins, r.leaves = map[string]bridge.Member{}, map[string]int{}, map[string]int{}
	}
	r.count = notice.Count
	if notice.State != nil {
		r.replace(notice.State)
	}
	for _, member := range notice.Joins {
		r.join(member)
	}
	for _, member := range notice.Updates {
		r.members[member.Ref] = member
	}
	for _, leave := range notice.Leaves {
		r.leave(leave.User, leave.Ref)
	}
	r.told = true
}

// replace takes a state; the differences to what was known are edges, too.
func (r *roster) replace(state []bridge.Member) {
	known := maps.Clone(r.members)
	for _, member := range state {
		r.join(member)
		delete(known, member.Ref)
	}
	for ref, member := range known {
		r.leave(member.User, ref)
	}
}

func (r *roster) join(member bridge.Member) {
	if _, known := r.members[member.Ref]; !known {
		r.joins[member.User]++
	}
	r.members[member.Ref] = member
}

func (r *roster) leave(user, ref string) {
	r.leaves[user]++
	delete(r.members, ref)
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
	copied.members, copied.joins, copied.leaves = maps.Clone(copied.members), maps.Clone(copied.joins), maps.Clone(copied.leaves)
	return copied
}
