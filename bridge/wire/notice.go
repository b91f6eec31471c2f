package wire

import (
	"encoding/json"
	"time"
)

// Notice is what the bridge tells a client.
type Notice interface{ notice() }

// Member is one session of a user on a channel.
type Member struct {
	User   string          `json:"user"`
	Ref    string          `json:"ref"`           // public reference of the session, stable across reconnects
	Key    string          `json:"key,omitempty"` // what it wants to be shown under
	Name   string          `json:"name,omitempty"`
	Role   string          `json:"role,omitempty"` // of the token by which it was said
	Meta   json.RawMessage `json:"meta,omitempty"`
	Place  *Place          `json:"position,omitempty"`
	Device string          `json:"device,omitempty"`
	Since  time.Time       `json:"since"`
}

// Turnover is who, by the whole of a difference, is on a channel now and was not before,
// with their first session, and who was there and is not, after the last one.
type Turnover struct{ Came, Went []string }

// Place is where a member is, as exactly as they want it known.
type Place struct {
	Lat      float64 `json:"lat"`
	Lng      float64 `json:"lng"`
	Accuracy string  `json:"accuracy"`
}

// Base64 is the encoding of an event whose data are bytes: a string of RFC 4648,
// section 4.
const Base64 = "base64"

// Limits are told to the client so that it can stay within them.
type Limits struct {
	Frame     int `json:"frame"`     // bytes of one frame
	Channels  int `json:"channels"`  // subscriptions of one session
	Publishes int `json:"publishes"` // publishes and calls per second
}

type (
	// Welcome answers Hello.
	Welcome struct {
		Session, Ref     string // the secret to resume with, the public reference
		Generation       uint64 // of the session: which of its connections this is
		User, Name, Role string
		Node             string
		Ping             time.Duration // silence after which the server pings
		Limits           Limits
	}
	// OK answers a request.
	OK struct {
		Ref       string
		Position  *Position       // of a durable channel at the time of the subscription
		Replaying *uint64         // events that follow at once because they were missed, with those that NoEcho leaves out
		Sequence  uint64          // of a stored event, or 0
		Data      json.RawMessage // what a called command returned
	}
	// Error refuses a request, or, without Ref, speaks about the session.
	Error struct {
		Ref     string
		Code    int // of schemas/errors.json
		Reason  string
		Retry   bool
		Message string
	}
	// Event is something that happened on a channel. Live events have no Sequence.
	Event struct {
		Channel, Event string
		Sequence       uint64
		From, Key      string
		Session        string // public reference of the session that it comes from, or ""
		At             time.Time
		Encoding       string          // [Base64], or "" for plain JSON
		Data           json.RawMessage // canonical
	}
	// State is who is on a channel; it comes before any Diff.
	State struct {
		Channel string
		Members []Member
		Count   int
	}
	// Diff is what changed since the last State or Diff. A long State is continued by
	// Diffs of who joins.
	Diff struct {
		Channel                string
		Joins, Updates, Leaves []Member // Leaves as they were told before
		Was                    []Member // Updates, in their order, as they were told before
		Users, Keys            Turnover
		Count                  int
	}
	// Gap says that the facts From..To of a channel cannot be given any more;
	// what follows goes on after Position.
	Gap struct {
		Channel  string
		From, To uint64
		Position Position
	}
	// Degraded says that the bus is away: the session stays, nothing arrives.
	Degraded struct{}
	// Restored says that the bus is back and every subscription whole again.
	Restored struct{}
	// Drain says that this node stops and when to come back.
	Drain struct{ ReturnIn time.Duration }
	// Unsubscribed says that the server ended a subscription.
	Unsubscribed struct {
		Channel string
		Code    int
		Reason  string
	}
	// Ping asks for a Pong.
	Ping struct{}
)

func (Welcome) notice()      {}
func (OK) notice()           {}
func (Error) notice()        {}
func (Event) notice()        {}
func (State) notice()        {}
func (Diff) notice()         {}
func (Gap) notice()          {}
func (Degraded) notice()     {}
func (Restored) notice()     {}
func (Drain) notice()        {}
func (Unsubscribed) notice() {}
func (Ping) notice()         {}
