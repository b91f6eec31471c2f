package bridge

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
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

// Limits bound what one browser or user can cost.
type Limits = session.Limits
