package stack

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/chat"
	"github.com/latido/latido/services/ops"
	"github.com/latido/latido/services/presence"
	"github.com/latido/latido/services/tracking"
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

// service runs one of the services on a connection of its own until ctx ends.
type service func(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error

// services by name, which is also what they are called in `nats micro ls`.
var services = map[string]service{
	"chat":     chat.Run,
	"ops":      ops.Run,
	"presence": presence.Run,
	"tracking": tracking.Run,
}

// Parts are the names of everything that a stack can run.
func Parts() []string {
	return append(defaultParts(), topologyPart)
}

// defaultParts make a whole system.
func defaultParts() []string {
	return slices.Sorted(slices.Values(append(slices.Collect(maps.Keys(services)), bridgePart)))
}

func (c Config) runsService() bool {
	return slices.ContainsFunc(c.Parts, func(name string) bool { return services[name] != nil })
}
