package presence

import "time"

// Statuses that mean something to us.
const (
	statusOnline    = "online"
	statusAway      = "away"
	statusDND       = "dnd"
	statusOffline   = "offline"
	statusInvisible = "invisible" // the same as offline to others, who cannot tell which
)

// Shown is a status as the user sees it.
type Shown struct {
	Status   string    `json:"status,omitempty"`
	Message  string    `json:"message,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	Schedule string    `json:"schedule,omitempty"` // the plan behind it
	Chosen   bool      `json:"chosen,omitempty"`   // by the user: devices do not change it
}

func (s Shown) automatic() bool { return !s.Chosen && s.Schedule == "" }

// shown is what is shown at a time. Of the user's choice and the plans under way
// the newest counts: a plan that begins beats what was chosen before, and what
// is chosen meanwhile beats the plan. Otherwise the devices speak.
func (u User) shown(at time.Time) Shown {
	shown := Shown{Status: statusOnline}
	if u.Away {
		shown.Status = statusAway
	}
	var newest time.Time
	if c := u.choice(at); c != nil {
		newest, shown.Message, shown.Until = c.At, c.Message, c.Until
		if c.Status != "" {
			shown.Status, shown.Chosen = c.Status, true
		}
	}
	for _, plan := range u.Plans {
		if from, until, on := window(plan, at); on && !from.Before(newest) {
			newest = from
			shown = Shown{Status: plan.Status, Message: plan.CustomMessage, Until: until, Schedule: plan.Schedule}
		}
	}
	return shown
}

// choice is what the user has chosen, unless it is over.
func (u User) choice(at time.Time) *Choice {
	if u.Chosen == nil || !u.Chosen.Until.IsZero() && !at.Before(u.Chosen.Until) {
		return nil
	}
	return u.Chosen
}

// told is what was told last. Until anything was, a user is simply there.
func (u User) told() Shown {
	if u.Told.Status == "" {
		return Shown{Status: statusOnline}
	}
	return u.Told
}

// public is the status as others see it.
func (u User) public() string {
	switch shown := u.told().Status; {
	case !u.Online, shown == statusInvisible:
		return statusOffline
	default:
		return shown
	}
}
