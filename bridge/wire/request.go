package wire

import (
	"encoding/json"
	"time"
)

// Request is what a client asks. Each but Hello, Pong and Activity is answered exactly
// once, by an [OK] or an [Error] that carries its Ref.
type Request interface{ request() }

// Position is where a reader stands in a channel: the stream's identity, so that
// a re-created stream is never taken for continuity, and a sequence in it. At is
// when the stream's message of that sequence was stored: who tells it can be
// proven to have read this very past. It is zero when it is not known.
type Position struct {
	Epoch    string    `json:"epoch"`
	Sequence uint64    `json:"seq"`
	At       time.Time `json:"at,omitzero"`
}

// Proof is what a codec has verified by its protocol's own means, such as a signature:
// what the session may do on the one channel that it subscribes to with it, besides
// what its token grants. It holds until it expires or the subscription ends, and then
// a subscription that it carried ends, too.
type Proof struct {
	Read, Write, Presence bool
	Expires               time.Time
}

type (
	// Hello opens a session.
	Hello struct {
		Token  string // JWT
		Client string // name and version of the client, for the logs
		Resume string // the secret of an earlier session to continue, or ""
		Device string // what the user is there with, or "" not to be seen by it
		// Anonymous lets in who has not signed in, without a token or with one of role
		// "anon" that names nobody. Who it is then goes by the session's secret.
		Anonymous bool

		Generation uint64 // as the last Welcome of that session told it, or 0
	}
	// Subscribe asks for a channel's events: those after Since, or else the last
	// Count, or those of the last Age, or with both at most the last Count of that
	// Age, or else new ones only. On a channel that the session follows it goes on
	// where that stands, unless it asks for more than was asked for then, or for what
	// was given to be given Anew.
	Subscribe struct {
		Ref, Channel string
		Since        *Position
		Count        int
		Age          time.Duration
		Anew         bool
		Presence     bool // also who is there, and each change
		NoEcho       bool // without the events that come from this very session, on whichever node
		Proof        *Proof
		// Token is a JWT, or "". Whose it is the session is on this channel, in all that
		// it reads, says, commands and shows there, until the subscription ends, which it
		// does when the token expires. The next one takes its place.
		Token string
	}
	// Unsubscribe ends a subscription and the presence that goes with it.
	Unsubscribe struct{ Ref, Channel string }
	// Publish sends an event to a channel.
	Publish struct {
		Ref, Channel, Event string
		Key                 string          // idempotency key, or ""
		Data                json.RawMessage // canonical, as [schemas.Canonical] makes it
	}
	// Call commands the channel's owner.
	Call struct {
		Ref, Channel, Command string
		Key                   string // idempotency key, or ""
		Data                  json.RawMessage
	}
	// Track makes the session present on a channel, with any JSON to say about it.
	Track struct {
		Ref, Channel string
		Meta         json.RawMessage
		Key          string // what to be shown under, or "" for the session's reference
		Place        *Place // where it is, or nil
	}
	// Count asks how many are present on a channel.
	Count struct{ Ref, Channel string }
	// Watch follows how users are, instead of those watched so far.
	Watch struct {
		Ref   string
		Users []string
	}
	// Activity says that the user touched the device. It has no answer.
	Activity struct{}
	// Untrack ends the session's presence on a channel.
	Untrack struct{ Ref, Channel string }
	// Token replaces the session's token in place.
	Token struct{ Ref, Token string }
	// Probe asks whether the server is there.
	Probe struct{ Ref string }
	// Pong answers a Ping.
	Pong struct{}
)

func (Hello) request()       {}
func (Subscribe) request()   {}
func (Unsubscribe) request() {}
func (Publish) request()     {}
func (Call) request()        {}
func (Track) request()       {}
func (Untrack) request()     {}
func (Probe) request()       {}
func (Token) request()       {}
func (Pong) request()        {}
func (Count) request()       {}
func (Watch) request()       {}
func (Activity) request()    {}
