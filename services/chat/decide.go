package chat

import (
	"slices"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// Room is the state of a room. The zero value is a room that nobody opened.
type Room struct {
	Opened  bool
	Closed  bool
	Public  bool
	By      string
	Members []string // sorted
}

const (
	roleMember     = "member" // in the room
	roleSupervisor = "supervisor"
)

var room = es.Decider[Room]{
	Kind:     "room",
	Commands: es.Commands(chat.Open{}, chat.Join{}, chat.Invite{}, chat.Leave{}, chat.Post{}, chat.Close{}),
	Facts:    es.Facts(chat.RoomOpened{}, chat.MemberJoined{}, chat.MemberLeft{}, chat.NewMessage{}, chat.RoomClosed{}),
	Decide:   decide,
	Evolve:   evolve,
	Members:  &es.Members[Room]{Changed: changed, Role: Room.role},
}

func decide(r Room, c es.Command) ([]es.Event, error) {
	switch body := c.Body.(type) {
	case chat.Open:
		return open(r, c.Meta, body)
	case chat.Join:
		return join(r, c.Meta)
	case chat.Invite:
		return invite(r, c.Meta, body)
	case chat.Leave:
		return leave(r, c.Meta)
	case chat.Post:
		return post(r, c.Meta, body)
	case chat.Close:
		return closeRoom(r, c.Meta, body)
	}
	return nil, schemas.Refuse(schemas.UnknownCommand, "a room does not know %T", c.Body)
}

// open opens a room. The ids of an order's room are no secret, so whoever knows
// one may have opened it before: a service opens it anew then, for exactly whom it
// names.
func open(r Room, m es.Meta, c chat.Open) ([]es.Event, error) {
	service := m.Role == subjects.RoleService
	switch {
	case r.Opened && !service:
		return nil, schemas.Refuse(schemas.Exists, "a room of this id was opened already")
	case r.Opened && r.By == m.From:
		return nil, nil
	}
	members := slices.Clone(c.Members)
	if !service {
		members = append(members, m.From)
	}
	slices.Sort(members)
	opened := chat.RoomOpened{
		Members: append([]string{}, slices.Compact(members)...), Title: c.Title, Public: c.Public, By: m.From, Anew: r.Opened,
	}
	for _, member := range r.Members {
		if !slices.Contains(opened.Members, member) {
			opened.Removed = append(opened.Removed, member)
		}
	}
	return es.Happens(opened), nil
}

func join(r Room, m es.Meta) ([]es.Event, error) {
	switch {
	case r.has(m.From):
		return nil, nil
	case !r.Public:
		return nil, forbidden
	case r.Closed:
		return nil, closed
	}
	return es.Happens(chat.MemberJoined{User: m.From}), nil
}

func invite(r Room, m es.Meta, c chat.Invite) ([]es.Event, error) {
	switch {
	case !r.Opened || !r.has(m.From) && m.Role != subjects.RoleService:
		return nil, forbidden
	case r.has(c.User):
		return nil, nil
	case r.Closed:
		return nil, closed
	}
	return es.Happens(chat.MemberJoined{User: c.User, By: m.From}), nil
}

func leave(r Room, m es.Meta) ([]es.Event, error) {
	if !r.has(m.From) {
		return nil, forbidden
	}
	return es.Happens(chat.MemberLeft{User: m.From}), nil
}

// post is unchecked: messages commute, and a busy room must not make its
// members wait for one another.
func post(r Room, m es.Meta, c chat.Post) ([]es.Event, error) {
	switch {
	case !r.has(m.From):
		return nil, forbidden
	case r.Closed:
		return nil, closed
	}
	events := es.Happens(chat.NewMessage{
		Text: c.Text, Attachments: append([]chat.Attachment{}, c.Attachments...), Priority: c.Priority,
	})
	events[0].Unchecked = true
	return events, nil
}

func closeRoom(r Room, m es.Meta, c chat.Close) ([]es.Event, error) {
	mayClose := m.From == r.By || m.Role == subjects.RoleService || m.Role == roleSupervisor
	switch {
	case !r.Opened || !mayClose:
		return nil, forbidden
	case r.Closed:
		return nil, nil
	}
	return es.Happens(chat.RoomClosed(c)), nil
}

// What a stranger is told is the same whether the room exists or not.
var (
	forbidden = schemas.Refuse(schemas.Forbidden, "only members may do that")
	closed    = schemas.Refuse(schemas.Closed, "the room is closed")
)

func evolve(r Room, event es.Event) Room {
	switch fact := event.Data.(type) {
	case chat.RoomOpened:
		return Room{Opened: true, Public: fact.Public, By: fact.By, Members: slices.Sorted(slices.Values(fact.Members))}
	case chat.MemberJoined:
		if at, found := slices.BinarySearch(r.Members, fact.User); !found {
			r.Members = slices.Concat(r.Members[:at], []string{fact.User}, r.Members[at:])
		}
	case chat.MemberLeft:
		if at, found := slices.BinarySearch(r.Members, fact.User); found {
			r.Members = slices.Concat(r.Members[:at], r.Members[at+1:])
		}
	case chat.RoomClosed:
		r.Closed = true
	}
	return r
}

func (r Room) has(user string) bool {
	_, found := slices.BinarySearch(r.Members, user)
	return found
}

// role is what the bucket "members" says of a user; a public room has an entry
// for everyone, the user "".
func (r Room) role(user string) string {
	if r.has(user) || user == "" && r.Public {
		return roleMember
	}
	return ""
}

func changed(event es.Event) []string {
	switch fact := event.Data.(type) {
	case chat.RoomOpened:
		users := slices.Concat(fact.Members, fact.Removed)
		if fact.Public || fact.Anew {
			users = append(users, "")
		}
		return users
	case chat.MemberJoined:
		return []string{fact.User}
	case chat.MemberLeft:
		return []string{fact.User}
	}
	return nil
}
