package bridge

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// Config is everything a bridge can be told. Connect and Verifier are needed; what is zero
// takes its default.
type Config struct {
	Node   string // name on the bus, unique among the bridges; default random
	Listen string // host:port of HTTP and WebSocket; default 127.0.0.1:8080, port 0 picks one
	// Connect opens a connection to NATS for a kind of traffic: "live",
	// "publish" or "replay". It must reconnect for ever.
	Connect func(purpose string) (*nats.Conn, error)
	// Storage says why nothing can be stored at present; nil is that it can. Left out
	// where nobody here knows.
	Storage func() error

	Verifier *identity.Verifier // tells whose tokens are good; needed
	Dev      bool               // hand out tokens to anyone who asks
	Origins  []string           // pages that may connect; empty or "*" is all

	// TrustedProxies are believed when they say for whom they ask; nil is loopback.
	TrustedProxies admission.Proxies
	// MetricsToken is the bearer's token for /metrics. Without one only clients of
	// this machine may read it.
	MetricsToken string
	// MetricsElsewhere says that [Bridge.Metrics] is served at an address of its own,
	// and nowhere else.
	MetricsElsewhere bool

	// Compress agrees to permessage-deflate with browsers that offer it.
	Compress bool

	Kinds []subjects.Kind // kinds of channels that the app adds
	// Meta judges what members say about themselves, by the kind of channel.
	Meta   map[string]*schemas.Schema
	Limits Limits
	Drain  time.Duration // how long the goodbyes are spread when the bridge stops; default 5 s
	Log    *slog.Logger  // default slog.Default
}

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

func (l Limits) withDefaults() Limits {
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

// admission are the limits that the doorman sees to.
func (l Limits) admission() admission.Limits {
	return admission.Limits{
		Publishes: l.Publishes, UserPublishes: l.UserPublishes, AddressPublishes: l.AddressPublishes,
		Work: l.Work, UserWork: l.UserWork, AddressWork: l.AddressWork,
		Pending: l.Pending, AddressPending: l.AddressPending,
	}
}
