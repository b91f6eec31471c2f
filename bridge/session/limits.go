package session

import (
	"math"
	"time"

	"github.com/latido/latido/bridge/admission"
)

// Limits bound what one browser or user can cost. What is zero takes its default.
type Limits struct {
	Frame            int // bytes of one frame; default 64 KB
	Channels         int // subscriptions of a session; default 500
	Publishes        int // publishes and calls per second of a session; default 50
	UserPublishes    int // the same of a user on a node; default 200
	AddressPublishes int // the same of an address; default 2,000
	// Work is what else is asked for, per second, in units of about 0.1 ms of a core; of a minute
	// at once.
	Work           int           // of a session; default 100
	UserWork       int           // of a user; default 400
	AddressWork    int           // of an address; default 1,000
	Pending        int           // connections before their hello; default 10,000
	AddressPending int           // the same of an address; default 500
	Sessions       int           // of a user on a node; default 50
	Meta           int           // bytes of presence meta; default 2 KB
	Handshake      time.Duration // from accept until hello; default 10 s
	Ping           time.Duration // the longest silence before a ping; default 25 s
	Grace          time.Duration // how long a member stays after a dropped connection; default 10 s
	Idle           time.Duration // without a touch until a device counts as idle; default 1 min
	Away           time.Duration // and until it counts as away; default 5 min
	Watch          int           // users that a session may watch; default 100
}

// WithDefaults fills in what is zero.
func (l Limits) WithDefaults() Limits {
	number := func(value *int, fallback int) {
		if *value == 0 {
			*value = fallback
		}
	}
	duration := func(value *time.Duration, fallback time.Duration) {
		if *value == 0 {
			*value = fallback
		}
	}
	number(&l.Frame, 64<<10)
	number(&l.Channels, 500)
	number(&l.Publishes, 50)
	number(&l.UserPublishes, 200)
	number(&l.AddressPublishes, 2000)
	number(&l.Work, 100)
	number(&l.UserWork, 400)
	number(&l.AddressWork, 1000)
	number(&l.Pending, 10_000)
	number(&l.AddressPending, 500)
	number(&l.Sessions, 50)
	number(&l.Meta, 2<<10)
	duration(&l.Handshake, 10*time.Second)
	duration(&l.Ping, 25*time.Second)
	duration(&l.Grace, 10*time.Second)
	duration(&l.Idle, time.Minute)
	duration(&l.Away, 5*time.Minute)
	number(&l.Watch, 100)
	return l
}

// Admission are the limits that the doorman sees to.
func (l Limits) Admission() admission.Limits {
	return admission.Limits{
		Publishes: l.Publishes, UserPublishes: l.UserPublishes, AddressPublishes: l.AddressPublishes,
		Work: l.Work, UserWork: l.UserWork, AddressWork: l.AddressWork,
		Pending: l.Pending, AddressPending: l.AddressPending,
	}
}

// quiet is for how long at least, and how long at most, nobody touched a device
// of an activity.
func (l Limits) quiet(activity string) (least, most time.Duration) {
	switch activity {
	case activities[idle]:
		return l.Idle, l.Away
	case activities[away]:
		return l.Away, math.MaxInt64
	}
	return 0, l.Idle
}
