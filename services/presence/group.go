package presence

import (
	"slices"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// Group is a set of users. The zero value was never made.
type Group struct {
	By      string // who keeps it
	Members []string
}

const groupMost = 1000 // members

// groupIDMost is the longest id of a group, in bytes: the channel of its presence
// has a name, too.
var groupIDMost = subjects.MaxChannel - len(subjects.GroupPresence("").String())

var group = es.Decider[Group]{
	Kind:     "group",
	Commands: es.Commands(presence.Create{}, presence.Add{}, presence.Remove{}),
	Facts:    es.Facts(presence.GroupCreated{}, presence.MemberAdded{}, presence.MemberRemoved{}),
	Decide:   decideGroup,
	Evolve:   evolveGroup,
	Members:  &es.Members[Group]{Changed: changedInGroup, Role: Group.role},
}

var errNotYours = schemas.Refuse(schemas.Forbidden, "the group does not exist or is not yours")

func decideGroup(g Group, c es.Command) ([]es.Event, error) {
	body, creates := c.Body.(presence.Create)
	switch {
	case creates:
		return create(g, c.Meta, body)
	case g.By == "":
		return nil, errNotYours
	}
	keeper := c.From == g.By || c.Role == subjects.RoleService || c.Role == roleSupervisor
	switch body := c.Body.(type) {
	case presence.Add:
		switch {
		case !keeper:
			return nil, errNotYours
		case g.has(body.User):
			return nil, nil
		case len(g.Members) >= groupMost:
			return nil, schemas.Refuse(schemas.Conflict, "a group has at most %d members", groupMost)
		}
		return es.Happens(presence.MemberAdded{User: body.User, By: c.From}), nil
	case presence.Remove:
		switch {
		case !keeper && (c.From != body.User || !g.has(c.From)):
			return nil, errNotYours
		case !g.has(body.User):
			return nil, nil
		}
		return es.Happens(presence.MemberRemoved{User: body.User, By: c.From}), nil
	}
	return nil, schemas.Refuse(schemas.UnknownCommand, "a group does not know %T", c.Body)
}

func create(g Group, m es.Meta, c presence.Create) ([]es.Event, error) {
	switch {
	case g.By != "":
		return nil, schemas.Refuse(schemas.Exists, "the group exists already")
	case m.Channel.ID == "" || len(m.Channel.ID) > groupIDMost:
		return nil, schemas.Refuse(schemas.InvalidData, "a group's id has 1 to %d bytes", groupIDMost)
	}
	members := append([]string{}, c.Members...)
	if m.Role != subjects.RoleService {
		members = append(members, m.From)
	}
	slices.Sort(members)
	return es.Happens(presence.GroupCreated{
		Name: c.Name, Members: slices.Compact(members), By: m.From,
	}), nil
}

func evolveGroup(g Group, event es.Event) Group {
	switch fact := event.Data.(type) {
	case presence.GroupCreated:
		return Group{By: fact.By, Members: slices.Sorted(slices.Values(fact.Members))}
	case presence.MemberAdded:
		if at, found := slices.BinarySearch(g.Members, fact.User); !found {
			g.Members = slices.Concat(g.Members[:at], []string{fact.User}, g.Members[at:])
		}
	case presence.MemberRemoved:
		if at, found := slices.BinarySearch(g.Members, fact.User); found {
			g.Members = slices.Concat(g.Members[:at], g.Members[at+1:])
		}
	}
	return g
}

func (g Group) has(user string) bool {
	_, found := slices.BinarySearch(g.Members, user)
	return found
}

// role is what the bucket "members" says of a user.
func (g Group) role(user string) string {
	if user != "" && g.has(user) {
		return "member"
	}
	return ""
}

func changedInGroup(event es.Event) []string {
	switch fact := event.Data.(type) {
	case presence.GroupCreated:
		return fact.Members
	case presence.MemberAdded:
		return []string{fact.User}
	case presence.MemberRemoved:
		return []string{fact.User}
	}
	return nil
}
