package subjects

import (
	"errors"
	"strings"
)

// MaxChannel is the longest name of a channel, in bytes: escaped, it still leaves
// a subject well below the 4 KB of a NATS control line.
const MaxChannel = 250

// ErrChannel is returned for a channel name that is not "kind:id".
var ErrChannel = errors.New("not a channel name")

// ErrSubject is returned when a subject or key is not of the parsed role.
var ErrSubject = errors.New("not a subject of this role")

// Channel is what clients subscribe to. The zero value is no channel.
type Channel struct {
	Kind string // lower-case letters and digits, a letter first
	ID   string // any string that leaves the name within MaxChannel
}

// ParseChannel reads "kind:id". The id may hold further colons, and be empty.
func ParseChannel(name string) (Channel, error) {
	kind, id, found := strings.Cut(name, ":")
	if !found || !isKind(kind) || len(name) > MaxChannel {
		return Channel{}, ErrChannel
	}
	return Channel{Kind: kind, ID: id}, nil
}

// String is the channel's name, "kind:id".
func (c Channel) String() string { return c.Kind + ":" + c.ID }

// tail is the part that all of a channel's subjects and keys share.
func (c Channel) tail() string { return c.Kind + "." + Token(c.ID) }

// Command is the subject on which the channel's owner takes the named command.
func (c Channel) Command(name string) string { return "cmd." + c.tail() + "." + name }

// ServiceCommand is the subject on which the channel's owner takes the named
// command from a service. The bus lets that service alone publish there, so the
// subject says who sends.
func (c Channel) ServiceCommand(service, name string) string {
	return "svc." + service + "." + c.tail() + "." + name
}

// Event is the subject of the channel's facts, which only its owner writes.
func (c Channel) Event() string { return "evt." + c.tail() }

// Feed is the subject on which stored facts come back with their sequence.
func (c Channel) Feed() string { return "feed." + c.tail() }

// Live is the subject of the channel's ephemeral events.
func (c Channel) Live() string { return "live." + c.tail() }

// Due is the subject of the channel's message schedule for what.
func (c Channel) Due(what string) string { return "due." + c.tail() + "." + Token(what) }

// Fired is the subject on which the channel's message schedule for what comes when
// it is due.
func (c Channel) Fired(what string) string { return "fired." + c.tail() + "." + Token(what) }

// Member is the key of a user's membership in the bucket "members".
func (c Channel) Member(user string) string { return c.tail() + "." + Token(user) }

// Seat is where one session of a user sits on the channel: what all keys of the
// session in the bucket "presence" share. There is one for each node that the
// session was connected to.
func (c Channel) Seat(user, ref string) string {
	return c.tail() + "." + Token(user) + "." + Token(ref)
}

// PresenceKey is a node's key for a seat in the bucket "presence". The node comes
// first, so that each may be allowed to write below its own name only.
func PresenceKey(node, seat string) string { return Token(node) + "." + seat }

// Present is the filter that matches all keys of the channel in the bucket
// "presence", whichever node wrote them.
func (c Channel) Present() string { return "*." + c.tail() + ".>" }

// Everyone is the filter that matches all keys of the channel in the bucket
// "members".
func (c Channel) Everyone() string { return c.tail() + ".>" }

// SessionMoved is the subject on which bridges tell one another that a session goes
// on through a newer connection. It is never stored.
const SessionMoved = "ctl.bridge.session"

// CommandPattern is the subject filter for a command on every channel of a kind.
func CommandPattern(kind, name string) string { return "cmd." + kind + ".*." + name }

// ServiceCommandPattern is the subject filter for a command from any service on
// every channel of a kind.
func ServiceCommandPattern(kind, name string) string { return "svc.*." + kind + ".*." + name }

// ParseCommand splits a subject written by [Channel.Command].
func ParseCommand(subject string) (c Channel, name string, err error) {
	parts, err := split(subject, "cmd", 4)
	if err != nil {
		return Channel{}, "", err
	}
	c, err = channelOf(parts[1], parts[2])
	return c, parts[3], err
}

// ParseServiceCommand splits a subject written by [Channel.ServiceCommand].
func ParseServiceCommand(subject string) (service string, c Channel, name string, err error) {
	parts, err := split(subject, "svc", 5)
	if err != nil {
		return "", Channel{}, "", err
	}
	if !isKind(parts[1]) {
		return "", Channel{}, "", ErrSubject
	}
	c, err = channelOf(parts[2], parts[3])
	return parts[1], c, parts[4], err
}

// ParseEvent reads the channel from a subject written by [Channel.Event].
func ParseEvent(subject string) (Channel, error) { return parseRole(subject, "evt") }

// ParseFeed reads the channel from a subject written by [Channel.Feed].
func ParseFeed(subject string) (Channel, error) { return parseRole(subject, "feed") }

// ParseFired reads the channel from a subject written by [Channel.Fired].
func ParseFired(subject string) (Channel, error) {
	parts, err := split(subject, "fired", 4)
	if err != nil {
		return Channel{}, err
	}
	return channelOf(parts[1], parts[2])
}

// ParseMember splits a key of the bucket "members".
func ParseMember(key string) (c Channel, user string, err error) {
	parts, err := split(key, "", 3)
	if err != nil {
		return Channel{}, "", err
	}
	if c, err = channelOf(parts[0], parts[1]); err != nil {
		return Channel{}, "", err
	}
	user, err = ParseToken(parts[2])
	return c, user, err
}

// ParsePresenceKey splits a key written by [PresenceKey].
func ParsePresenceKey(key string) (node, seat string, err error) {
	token, seat, found := strings.Cut(key, ".")
	if !found {
		return "", "", ErrSubject
	}
	node, err = ParseToken(token)
	return node, seat, err
}

// ParseSeat splits what [Channel.Seat] wrote.
func ParseSeat(seat string) (c Channel, user, ref string, err error) {
	parts, err := split(seat, "", 4)
	if err != nil {
		return Channel{}, "", "", err
	}
	if c, err = channelOf(parts[0], parts[1]); err != nil {
		return Channel{}, "", "", err
	}
	if user, err = ParseToken(parts[2]); err != nil {
		return Channel{}, "", "", err
	}
	ref, err = ParseToken(parts[3])
	return c, user, ref, err
}

func parseRole(subject, role string) (Channel, error) {
	parts, err := split(subject, role, 3)
	if err != nil {
		return Channel{}, err
	}
	return channelOf(parts[1], parts[2])
}

// split cuts a subject into exactly n tokens, the first of which is role unless
// role is empty.
func split(subject, role string, n int) ([]string, error) {
	parts := strings.SplitN(subject, ".", n+1)
	if len(parts) != n || role != "" && parts[0] != role {
		return nil, ErrSubject
	}
	return parts, nil
}

func channelOf(kind, token string) (Channel, error) {
	id, err := ParseToken(token)
	if err != nil || !isKind(kind) {
		return Channel{}, ErrSubject
	}
	return Channel{Kind: kind, ID: id}, nil
}

func isKind(s string) bool {
	if s == "" || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
