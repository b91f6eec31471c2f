package presence

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// User is what the facts of a user's channel add up to. It is carried by them,
// because the stream forgets facts after a month, but nobody's plans: see keep.
type User struct {
	Online bool `json:"online,omitempty"`
	Away   bool `json:"away,omitempty"` // has touched no device for a while
	// Since is when the observation was made that led to the last change.
	Since    time.Time           `json:"since,omitzero"`
	LastSeen time.Time           `json:"last_seen,omitzero"`
	Chosen   *Choice             `json:"chosen,omitempty"`
	Plans    []presence.Schedule `json:"plans,omitempty"` // sorted by their names
	Told     Shown               `json:"told,omitzero"`   // what the last fact about the status said
	ToldAt   time.Time           `json:"told_at,omitzero"`
}

// Choice is what the user wants to be shown as. Without a status it lets the
// devices speak.
type Choice struct {
	Status  string    `json:"status,omitempty"`
	Message string    `json:"message,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	At      time.Time `json:"at"`
}

const (
	byUser     = "user"
	bySchedule = "schedule"
	byActivity = "activity"
)

const roleSupervisor = "supervisor"

var user = es.Decider[User]{
	Kind:     "user",
	Commands: es.Commands(presence.Observe{}, presence.SetStatus{}, presence.ClearStatus{}, presence.ScheduleStatus{}, presence.CancelSchedule{}, presence.Due{}),
	Facts:    es.Facts(presence.Online{}, presence.Offline{}, presence.StatusChanged{}, presence.StatusScheduled{}, presence.ScheduleCancelled{}),
	Decide:   decide,
	Evolve:   evolve,
	Carry:    true,
	Deadline: User.deadline,
	Members:  &doNotDisturb,
}

func decide(u User, c es.Command) ([]es.Event, error) {
	service := c.Role == subjects.RoleService
	switch body := c.Body.(type) {
	case presence.Observe:
		if !service {
			return nil, schemas.Refuse(schemas.Forbidden, "only services observe")
		}
		return observe(u, c.Now, body), nil
	case presence.Due:
		if !service {
			return nil, schemas.Refuse(schemas.Forbidden, "only services know what is due")
		}
		return u.due(c.Now), nil
	}
	if c.From != c.Channel.ID && !service {
		return nil, schemas.Refuse(schemas.Forbidden, "everyone speaks for themselves")
	}
	switch body := c.Body.(type) {
	case presence.SetStatus:
		return setStatus(u, c.Now, body)
	case presence.ClearStatus:
		return choose(u, Choice{At: c.Now}), nil
	case presence.ScheduleStatus:
		return schedule(u, c.Now, presence.Schedule(body))
	case presence.CancelSchedule:
		return cancel(u, c.Now, body.Schedule), nil
	}
	return nil, schemas.Refuse(schemas.UnknownCommand, "a user does not know %T", c.Body)
}

// observe turns observations into changes. Every replica observes by itself and
// some lag: what is no news, or older news than is known, changes nothing. What
// fell due meanwhile is told first, since the facts that follow put another
// deadline in its place.
func observe(u User, now time.Time, seen presence.Observe) []es.Event {
	old := seen.At.Before(u.Since) || seen.Online != u.Online && seen.At.Equal(u.Since)
	if old || seen.Online == u.Online && (!seen.Online || seen.Away == u.Away) {
		return nil
	}
	if now.Before(seen.At) {
		now = seen.At // by another clock
	}
	events := u.tell(now)
	for _, event := range events {
		u = evolve(u, event)
	}
	if !seen.Online {
		return append(events, es.NewEvent(presence.Offline{LastSeen: seen.At}))
	}
	if !u.Online {
		events = append(events, es.NewEvent(presence.Online{}))
		u = u.arrived(seen.At)
	}
	if seen.Away == u.Away {
		return events
	}
	u.Away = seen.Away
	return append(events, changedTo(u, u.shown(now), byActivity, seen.At))
}

func setStatus(u User, now time.Time, c presence.SetStatus) ([]es.Event, error) {
	if !c.Until.IsZero() && !c.Until.After(now) {
		return nil, wrong("until", "is over already")
	}
	choice := Choice{Status: c.Status, Message: c.CustomMessage, Until: c.Until.UTC(), At: now}
	if c.Until.IsZero() {
		choice.Until = time.Time{}
	}
	if standing := u.shown(now); c.Status == "" && !standing.automatic() {
		choice.Status = standing.Status
		if choice.Until.IsZero() {
			choice.Until = standing.Until
		}
	}
	return choose(u, choice), nil
}

// choose tells of a choice, unless it is what is shown already.
func choose(u User, choice Choice) []es.Event {
	u.Chosen = &choice
	shown := u.shown(choice.At)
	if shown == u.told() {
		return nil
	}
	return []es.Event{changedTo(u, shown, byUser, choice.At)}
}

// tell tells what is shown by now, unless it was told already.
func (u User) tell(now time.Time) []es.Event {
	shown := u.shown(now)
	if shown == u.told() {
		return nil
	}
	return []es.Event{changedTo(u, shown, bySchedule, now)}
}

// keep is how long the last fact of a user may be the last. The stream keeps it
// for a month, and with it what the user has chosen and planned.
const keep = 14 * 24 * time.Hour

// due tells what is shown by now, once more if that was long ago.
func (u User) due(now time.Time) []es.Event {
	events := u.tell(now)
	if len(events) == 0 && u.lasting(now) && now.Sub(u.ToldAt) >= keep/2 { // clocks differ
		return []es.Event{changedTo(u, u.shown(now), bySchedule, now)}
	}
	return events
}

// lasting tells that something is to be kept for longer than facts are.
func (u User) lasting(now time.Time) bool {
	c := u.choice(now)
	return c != nil && (c.Status != "" || c.Message != "") || slices.ContainsFunc(u.Plans, func(p presence.Schedule) bool {
		return p.Until.IsZero() || p.Until.After(now)
	})
}

func changedTo(u User, shown Shown, by string, at time.Time) es.Event {
	return es.NewEvent(presence.StatusChanged{
		Status: shown.Status, CustomMessage: shown.Message, Until: shown.Until, Schedule: shown.Schedule,
		Chosen: shown.Chosen, Away: u.Away, By: by, At: at,
	})
}

func wrong(field, why string) error {
	return schemas.Refusal{Code: schemas.InvalidData, Message: field + ": " + why, Field: field}
}

// observationKey is the key of an observation made when the user's last fact was
// at seq. It holds its time, which evolve reads back, since the facts themselves
// do not all tell it. Two replicas that saw the same send the same command.
func observationKey(at time.Time, seq string) string {
	return at.UTC().Format(time.RFC3339Nano) + "~" + seq
}

func evolve(u User, event es.Event) User {
	at, _, _ := strings.Cut(event.Key, "~")
	since, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		since = u.Since
	}
	switch fact := event.Data.(type) {
	case presence.Online:
		u = u.arrived(since)
	case presence.Offline:
		if u.public() != statusOffline { // or others could tell that it was not true
			u.LastSeen = fact.LastSeen
		}
		u.Online, u.Away, u.Since = false, false, since
		u.Told = u.told()
		if u.Told.automatic() {
			u.Told.Status = statusOnline
		}
	case presence.StatusChanged:
		return u.changed(fact)
	case presence.StatusScheduled:
		u.Plans = withPlan(u.Plans, presence.Schedule(fact))
	case presence.ScheduleCancelled:
		u.Plans = slices.DeleteFunc(slices.Clone(u.Plans), func(p presence.Schedule) bool { return p.Schedule == fact.Schedule })
	}
	return u
}

func (u User) arrived(since time.Time) User {
	u.Online, u.Away, u.Since = true, false, since
	return u
}

func (u User) changed(fact presence.StatusChanged) User {
	before := u.public()
	u.Told = Shown{
		Status: fact.Status, Message: fact.CustomMessage, Until: fact.Until, Schedule: fact.Schedule, Chosen: fact.Chosen,
	}
	if u.ToldAt.Before(fact.At) {
		u.ToldAt = fact.At
	}
	if before != statusOffline && u.public() == statusOffline {
		u.LastSeen = fact.At
	}
	switch fact.By {
	case byActivity:
		u.Away, u.Since = fact.Away, fact.At
	case byUser:
		choice := Choice{Message: fact.CustomMessage, Until: fact.Until, At: fact.At}
		if fact.Chosen {
			choice.Status = fact.Status
		}
		u.Chosen = &choice
	case bySchedule:
		u.Chosen = u.choice(fact.At)
	}
	u.Plans = slices.DeleteFunc(slices.Clone(u.Plans), func(p presence.Schedule) bool {
		return !p.Until.IsZero() && !p.Until.After(fact.At)
	})
	return u
}

func withPlan(plans []presence.Schedule, plan presence.Schedule) []presence.Schedule {
	at, found := slices.BinarySearchFunc(plans, plan, func(a, b presence.Schedule) int { return cmp.Compare(a.Schedule, b.Schedule) })
	if found {
		return slices.Concat(plans[:at], []presence.Schedule{plan}, plans[at+1:])
	}
	return slices.Concat(plans[:at], []presence.Schedule{plan}, plans[at:])
}

// doNotDisturb is the bucket of those who do not want to be disturbed, for all
// services to read.
var doNotDisturb = es.Members[User]{
	Bucket: subjects.BucketDoNotDisturb,
	Key:    func(c subjects.Channel, _ string) string { return subjects.Token(c.ID) },
	Changed: func(event es.Event) []string {
		if fact, ok := event.Data.(presence.StatusChanged); ok && fact.By != byActivity {
			return []string{""}
		}
		return nil
	},
	Role: func(u User, _ string) string {
		if u.Told.Status == statusDND {
			return statusDND
		}
		return ""
	},
}
