package subjects

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Durability says what becomes of an event after it was delivered.
type Durability int

const (
	Live    Durability = iota // handed to whoever listens, never stored
	Durable                   // stored, replayed after a reconnect
)

// Access says who may read or write a kind of channel.
type Access int

const (
	Nobody   Access = iota // not from a browser
	SignedIn               // any user with a valid token
	Members                // users with a key in the bucket "members"; public channels hold one for everyone
	Self                   // the user whose id is the channel's id
	Granted                // as the token's grants say; everyone when it carries none
	Service                // tokens of role "service"
	Topic                  // as the channel's id says: a group's members, everyone for a user, and grants for the rest
)

// ByMembership says whether keys of the bucket "members" may decide.
func (a Access) ByMembership() bool { return a == Members || a == Topic }

// Kind is one row of the channel catalog: everything the bridge must know of a
// channel of this kind, as data.
type Kind struct {
	Name       string
	About      string // what its channels are, and what is kept of each, for `nats stream ls`
	Owner      string // the service that writes its facts; "" is the bridge itself
	Durability Durability
	Stream     string // where its facts are kept; "" for a live kind
	Read       Access
	// Roles read beside those whom Read lets in, on channels with the id
	// or, when it is "*", on all.
	Roles []RoleAccess
	// Write is for live events, and for publishing on a kind without an owner.
	// Commands are judged by the owner.
	Write Access
	// Publish names the owner's command for each event a browser may publish.
	Publish map[string]string
	// Live lists the ephemeral events browsers may publish; "*" is any name.
	Live []string
	// Ends names the facts that end memberships; those that say who all the members are
	// do so in the bucket, too.
	Ends map[string]Ending
	// Conflate lists the events of which only a sender's newest matters to a
	// browser that has not kept up; "*" is any.
	Conflate []string
}

// RoleAccess lets tokens of a role read the channel with an id, or all ("*").
type RoleAccess struct{ Role, ID string }

// Streams of the bus, one per family of kinds.
const (
	StreamRoom     = "ROOM"
	StreamTracking = "TRACKING"
	StreamOps      = "OPS"
	StreamSystem   = "SYSTEM"
	StreamUser     = "USER"
	StreamGroup    = "GROUP"
	StreamApp      = "APP"
)

// Buckets of the bus.
const (
	BucketPresence     = "presence" // who is on which channel, one key per session
	BucketNodes        = "nodes"    // leases of the bridges, one key per node
	BucketMembers      = "members"  // who belongs to which room, order, track or group
	BucketDoNotDisturb = "quiet"    // who does not want to be disturbed, one key per user; renamed it would begin empty
	BucketTickets      = "tickets"  // which tickets of bridges were used, one key per ticket
)

// Feeds of the buckets: JetStream republishes each change of a key below them.
const (
	FeedPresence     = "presence."
	FeedNodes        = "nodes."
	FeedMembers      = "members."
	FeedDoNotDisturb = "quiet."
)

// Catalog holds the built-in kinds of channels.
var Catalog = map[string]Kind{
	"room": {
		Name: "room", About: "Rooms: membership and messages, one subject per room",
		Owner: "chat", Durability: Durable, Stream: StreamRoom, Read: Members, Write: Members,
		Publish: map[string]string{"new_message": "post"}, Live: []string{"typing"}, Conflate: []string{"typing"},
		Ends: map[string]Ending{"member_left": {Users: "user"}, "room_opened": {Only: []string{"members"}, Public: "public"}},
	},
	"tracking": {
		Name: "tracking", About: "Tracks: the trail of fixes that counted, one subject per order",
		Owner: "tracking", Durability: Durable, Stream: StreamTracking, Read: Members, Write: Members,
		Publish: map[string]string{"coords_update": "report"}, Live: []string{"typing"}, Conflate: []string{"coords_update", "typing"},
		Ends: map[string]Ending{"tracking_opened": {Only: []string{"operator", "watchers"}, Public: "public"}},
	},
	"ops": {
		Name: "ops", About: "Requests: each one's life, the broadcast to operators, and deadlines",
		Owner: "ops", Durability: Durable, Stream: StreamOps, Read: Members, Write: Members,
		Live: []string{"typing"}, Conflate: []string{"typing"},
		Ends:  map[string]Ending{"requested": {Only: []string{"client"}}, "withdrawn": {Users: "client"}},
		Roles: []RoleAccess{{"operator", Broadcast}, {"supervisor", "*"}},
	},
	"global": {
		Name: "global", About: "Announcements to every signed-in user",
		Owner: "ops", Durability: Durable, Stream: StreamSystem, Read: SignedIn, Write: Service,
		Publish: map[string]string{"maintenance_alert": "announce"},
	},
	"user": {
		Name: "user", About: "Inboxes: each user's own notifications and status",
		Owner: "presence", Durability: Durable, Stream: StreamUser, Read: Self,
	},
	"group": {
		Name: "group", About: "Groups: who belongs to each",
		Owner: "presence", Durability: Durable, Stream: StreamGroup, Read: Members, Write: Members,
		Live: []string{"typing"}, Conflate: []string{"typing"},
		Ends: map[string]Ending{"group_created": {Only: []string{"members"}}, "member_removed": {Users: "user"}},
	},
	// Who is there, and who types: of a group, of a user, of any topic.
	"presence": {Name: "presence", Durability: Live, Read: Topic, Write: Members, Live: []string{"typing"}, Conflate: []string{"typing"}},
	"app":      {Name: "app", Durability: Live, Read: Granted, Write: Granted, Live: []string{"*"}},
}

// KindsOf lists the kinds of channels that a service owns, sorted.
func KindsOf(service string) []string {
	var kinds []string
	for name, kind := range Catalog {
		if kind.Owner == service {
			kinds = append(kinds, name)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// GroupPresence is the channel on which a group's members see which of them are
// there; UserPresence the one on which anyone sees how a user is. The presence
// service alone is present on them, once for each user.
func GroupPresence(group string) Channel {
	return Channel{Kind: "presence", ID: groupTopic + group}
}

// UserPresence is described at [GroupPresence].
func UserPresence(user string) Channel { return Channel{Kind: "presence", ID: userTopic + user} }

// NodePresence is the name below which the presence service writes in the buckets
// "presence" and "nodes", where bridges write below theirs.
const NodePresence = servicePrefix + "presence"

// servicePrefix begins the name of what is a service, where others are nodes or
// users.
const servicePrefix = "service:"

// IsService says whether what wrote something in the bucket "presence" is a
// service. It is there as long as what it wrote.
func IsService(node string) bool { return strings.HasPrefix(node, servicePrefix) }

const (
	groupTopic = "group."
	userTopic  = "user."
)

// ReservedTopic returns the group or user whose presence a channel shows, if it is
// one of those described at [GroupPresence].
func ReservedTopic(c Channel) (of Channel, reserved bool) {
	if id, found := strings.CutPrefix(c.ID, groupTopic); found && c.Kind == "presence" {
		return Channel{Kind: "group", ID: id}, true
	}
	if id, found := strings.CutPrefix(c.ID, userTopic); found && c.Kind == "presence" {
		return Channel{Kind: "user", ID: id}, true
	}
	return Channel{}, false
}

// Broadcast is the id of the ops channel on which all operators are offered
// new requests.
const Broadcast = "broadcast"

// ErrKind is returned for a kind of channel that cannot be added.
var ErrKind = errors.New("not a kind of channel that can be added")

// AppKind describes a kind of channel that an app adds by its settings, written
// "name" or "name:durable": events without an owner, under the access rule of
// "app". Of the built-in kinds only "app" may be described anew.
func AppKind(text string) (Kind, error) {
	name, durability, _ := strings.Cut(text, ":")
	kind := Catalog["app"]
	if _, builtIn := Catalog[name]; !isKind(name) || builtIn && name != kind.Name {
		return Kind{}, fmt.Errorf("%w: %q", ErrKind, text)
	}
	kind.Name = name
	switch durability {
	case "", "live":
	case "durable":
		kind.Durability, kind.Stream = Durable, StreamApp
	default:
		return Kind{}, fmt.Errorf("%w: %q is neither live nor durable", ErrKind, text)
	}
	return kind, nil
}
