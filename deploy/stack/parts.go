package stack

import (
	"context"
	"log/slog"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/chat"
	"github.com/latido/latido/services/ops"
	"github.com/latido/latido/services/presence"
	"github.com/latido/latido/services/tracking"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// Parts that are no services.
const (
	// bridgePart is the part that browsers speak to.
	bridgePart = "bridge"
	// topologyPart declares the streams, and keeps them. It is for a bus where the
	// services' users may not; it is not among those that run when none is named.
	topologyPart = "topology"
)

//go:generate go run ../internal/gen -root ..

// Service is a part that decides about the kinds of channels which the catalog says
// it owns. Where each has an account of its own, as in deploy/nats/users.conf, it may
// read and write what belongs to these, and beside them only what is named here.
type Service struct {
	Name  string // also in `nats micro ls`
	About string // for the reader of users.conf
	// Commands are the kinds of other services' channels that it commands.
	Commands []string
	// Writes are keys of buckets, beside the members of its channels.
	Writes []string
	// Follows are buckets that it reads and hears of.
	Follows []string

	// run answers commands on a connection of its own until ctx ends.
	run func(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error
}

var services = []Service{
	{Name: "chat", About: "Rooms.", run: chat.Run},
	{Name: "tracking", About: "Tracks.", run: tracking.Run},
	{
		Name: "ops", About: "Requests and announcements. It opens the room and the track of an order.", run: ops.Run,
		Commands: []string{"room", "tracking"}, Follows: []string{subjects.BucketDoNotDisturb},
	},
	{
		Name: "presence", About: "Users, groups, and who is there.", run: presence.Run,
		Writes: []string{
			subjects.BucketDoNotDisturb + ".*",
			subjects.BucketPresence + "." + subjects.Token(subjects.NodePresence) + ".>",
			subjects.BucketNodes + "." + subjects.Token(subjects.NodePresence),
		},
		Follows: []string{subjects.BucketMembers, subjects.BucketPresence, subjects.BucketNodes},
	},
}

// Services lists the parts that decide.
func Services() []Service { return slices.Clone(services) }

// service finds a service by its name.
func service(name string) (Service, bool) {
	at := slices.IndexFunc(services, func(s Service) bool { return s.Name == name })
	if at < 0 {
		return Service{}, false
	}
	return services[at], true
}

// Parts are the names of everything that a stack can run.
func Parts() []string {
	return append(defaultParts(), topologyPart)
}

// defaultParts make a whole system.
func defaultParts() []string {
	names := []string{bridgePart}
	for _, s := range services {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return names
}

func isService(name string) bool {
	_, found := service(name)
	return found
}

func (c Config) runsService() bool { return slices.ContainsFunc(c.Parts, isService) }
