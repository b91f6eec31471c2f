package main

import (
	"time"

	"github.com/latido/latido/bridge"
)

// limitFlags are the bridge's limits, of one session unless they say otherwise.
type limitFlags struct {
	MaxFrame         int           `default:"65536" help:"Largest frame taken from a browser, in bytes."`
	MaxChannels      int           `default:"500" help:"Channels that a session may subscribe to."`
	MaxPublishes     int           `default:"50" help:"Publishes and calls per second of a session."`
	MaxUserPublishes int           `default:"200" help:"Publishes and calls per second of a user on one bridge."`
	MaxUserSessions  int           `default:"50" help:"Sessions of a user on one bridge."`
	MaxMeta          int           `default:"2048" help:"Bytes of what a member says about itself in presence."`
	MaxWatched       int           `default:"100" help:"Users that a session may watch."`
	Handshake        time.Duration `default:"10s" help:"Time for the first frame, which holds the token."`
	Ping             time.Duration `default:"25s" help:"Silence after which a bridge asks whether the browser is still there."`
	Grace            time.Duration `default:"10s" help:"Time for which a member whose connection dropped is still shown as there."`
	Idle             time.Duration `default:"1m" help:"Time without a touch after which a device counts as idle."`
	Away             time.Duration `default:"5m" help:"Time without a touch after which a device counts as away."`
}

func (f limitFlags) limits() bridge.Limits {
	return bridge.Limits{
		Frame: f.MaxFrame, Channels: f.MaxChannels, Publishes: f.MaxPublishes, UserPublishes: f.MaxUserPublishes,
		Sessions: f.MaxUserSessions, Meta: f.MaxMeta, Handshake: f.Handshake, Ping: f.Ping, Grace: f.Grace,
		Idle: f.Idle, Away: f.Away, Watch: f.MaxWatched,
	}
}
