package presence

import (
	"context"
	"slices"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// kinds are the deciders with the questions they answer.
func (k *watcher) kinds() []es.Kind {
	users, groups := user, group
	users.Queries = map[string]es.Query[User]{
		"status":    {Decode: es.As[presence.Status], Answer: k.status},
		"schedules": {Decode: es.As[presence.Schedules], Answer: schedules},
		"duty":      {Decode: es.As[presence.Duty], Answer: k.duty},
	}
	groups.Queries = map[string]es.Query[Group]{"who": {Decode: es.As[presence.Who], Answer: k.who}}
	return []es.Kind{users, groups}
}

// youth bounds how long a question waits for a process that has just begun to look.
const youth = 5 * time.Second

// people is who is there. A process that has just begun waits until it has seen
// everybody.
func (k *watcher) people(ctx context.Context) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, youth)
	defer cancel()
	select {
	case <-k.first:
		return k.newest.Load(), nil
	case <-ctx.Done():
		return nil, schemas.Refuse(schemas.Unavailable, "who is there is not known yet")
	}
}

// status is how a user is, for anyone signed in.
func (k *watcher) status(ctx context.Context, u User, c es.Command) (any, error) {
	v, err := k.people(ctx)
	if err != nil {
		return nil, err
	}
	return v.cardOf(c.Channel.ID, u, c.Now), nil
}

// cardOf is a user as others see them now.
func (v *view) cardOf(user string, state User, now time.Time) presence.Card {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.people[user]
	if p == nil {
		p = &person{}
	}
	card := p.look(user, state)
	card.LastActive = time.Time{}
	for i := range card.Devices {
		device := &card.Devices[i]
		if device.Status == activeDevice {
			device.LastActive = touched(device.LastActive, now)
		}
		if device.LastActive.After(card.LastActive) {
			card.LastActive = device.LastActive
		}
	}
	return card
}

const activeDevice = "active"

// untold is for how long after a touch a device is active, so that no further one is
// told: the default of bridges.
const untold = time.Minute

// touched is the newest time at which an active device was surely touched, by the time
// that its entry says: it is written when the device becomes active, by a bridge whose
// clock may be ahead.
func touched(told, now time.Time) time.Time {
	if least := now.Add(-untold); told.Before(least) {
		return least
	}
	if told.After(now) {
		return now
	}
	return told
}

// plans is what a user has planned, and how they are shown meanwhile.
type plans struct {
	Schedules []presence.Schedule `json:"schedules"`
	Shown     Shown               `json:"shown"`
	Next      time.Time           `json:"next,omitzero"` // when that may change by itself
}

func schedules(_ context.Context, u User, c es.Command) (any, error) {
	if c.From != c.Channel.ID && c.Role != subjects.RoleService {
		return nil, schemas.Refuse(schemas.Forbidden, "plans are private")
	}
	return plans{Schedules: append([]presence.Schedule{}, u.Plans...), Shown: u.told(), Next: u.deadline(c.Now)}, nil
}

// company is who of a group is there.
type company struct {
	Count int             `json:"online_count"`
	Users []presence.Card `json:"online_users"`
}

// who lists who of a group is there, now or at a time; for its members.
func (k *watcher) who(ctx context.Context, g Group, c es.Command) (any, error) {
	body, ok := c.Body.(presence.Who)
	if !ok || !g.has(c.From) && c.Role != subjects.RoleService {
		return nil, errNotYours
	}
	if !body.At.IsZero() {
		return k.whoWas(ctx, g, body.At, c.Now)
	}
	v, err := k.people(ctx)
	if err != nil {
		return nil, err
	}
	cards := make([]presence.Card, len(g.Members))
	for i, member := range g.Members {
		cards[i] = v.cardOf(member, v.stateOf(member), c.Now)
	}
	return companyOf(cards), nil
}

// companyOf leaves out who is offline.
func companyOf(cards []presence.Card) company {
	there := slices.DeleteFunc(cards, func(card presence.Card) bool { return card.Status == statusOffline })
	return company{Count: len(there), Users: there}
}

func (v *view) stateOf(user string) User {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p := v.people[user]; p != nil {
		return p.state
	}
	return User{}
}
