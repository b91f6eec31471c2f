package main

import (
	"time"

	"github.com/latido/latido/bridge"
)

// limitFlags are the bridge's limits, of one session unless they say otherwise.
type limitFlags struct {
	MaxFrame            int           `default:"65536" help:"Largest frame taken from a browser, in bytes."`
	MaxChannels         int           `default:"500" help:"Channels that a session may subscribe to."`
	MaxPublishes        int           `default:"50" help:"Publishes and calls per second of a session."`
	MaxUserPublishes    int           `default:"200" help:"Publishes and calls per second of a user on one bridge."`
	MaxAddressPublishes int           `default:"2000" help:"Publishes and calls per second of an address on one bridge. An address is an IPv4 address or an IPv6 /64, of the client where --trusted-proxies tell it; this machine is not limited by address."`
	MaxWork             int           `default:"100" help:"What else a session may ask for per second, and sixty times that at once, in units of about 0.1 ms of a core: a subscription costs 2, with recent events 10, presence 5. Whoever is refused is told rate_limited, and closed only when it goes on twenty times as fast."`
	MaxUserWork         int           `default:"400" help:"The same of a user on one bridge, over all sessions and HTTP."`
	MaxAddressWork      int           `default:"1000" help:"The same of an address on one bridge."`
	MaxPending          int           `default:"10000" help:"Connections to one bridge that have not said hello."`
	MaxAddressPending   int           `default:"500" help:"The same of an address."`
	MaxUserSessions     int           `default:"50" help:"Sessions of a user on one bridge."`
	MaxMeta             int           `default:"2048" help:"Bytes of what a member says about itself in presence."`
	MaxWatched          int           `default:"100" help:"Users that a session may watch."`
	Handshake           time.Duration `default:"10s" help:"Time for the first frame, which holds the token; 1h at most."`
	Ping                time.Duration `default:"25s" help:"Silence after which a bridge asks whether the browser is still there; 1h at most."`
	Grace               time.Duration `default:"10s" help:"Time for which a member whose connection dropped is still shown as there; 1h at most."`
	Idle                time.Duration `default:"1m" help:"Time without a touch after which a device counts as idle."`
	Away                time.Duration `default:"5m" help:"Time without a touch after which a device counts as away."`
}

func (f limitFlags) limits() bridge.Limits {
	return bridge.Limits{
		Frame: f.MaxFrame, Channels: f.MaxChannels, Publishes: f.MaxPublishes, UserPublishes: f.MaxUserPublishes, AddressPublishes: f.MaxAddressPublishes,
		Work: f.MaxWork, UserWork: f.MaxUserWork, AddressWork: f.MaxAddressWork, Pending: f.MaxPending, AddressPending: f.MaxAddressPending,
		Sessions: f.MaxUserSessions, Meta: f.MaxMeta, Handshake: f.Handshake, Ping: f.Ping, Grace: f.Grace,
		Idle: f.Idle, Away: f.Away, Watch: f.MaxWatched,
	}
}
