// Package ops decides about requests: who asked, and which of the operators
// that want one gets it. It answers "decided by whom?" for channels of the kinds
// ops and global.
//
// It imports services/internal, schemas and subjects, and no other service:
// rooms and tracks of an order are opened by command, over the bus.
package ops

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/internal/dnd"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects/identity"
)

// Run answers the commands of requests and announcements until ctx ends, and
// returns when everything it started has ended.
func Run(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error {
	doNotDisturb, err := dnd.Follow(ctx, nc, log.With("service", "ops"))
	if err != nil {
		return fmt.Errorf("run ops: %w", err)
	}
	defer doNotDisturb.Stop()
	return es.Run(ctx, nc, verifier, log, service(respectDoNotDisturb(request, doNotDisturb.Has).With(assignment{nc}.reactor())))
}

func service(requests es.Kind) es.Service {
	return es.Service{
		Name:        "ops",
		Version:     "1.0.0",
		Description: "Decides about requests: one operator wins each; and announces.",
		Kinds:       []es.Kind{requests, announcements},
	}
}
