// Package tracking decides which positions of an order's operator count. It
// answers "decided by whom?" for channels of kind tracking.
//
// It imports services/internal/es, schemas and subjects, and no other service.
package tracking

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects/identity"
)

// Run answers the commands of tracks until ctx ends, and returns when
// everything it started has ended.
func Run(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error {
	return es.Run(ctx, nc, verifier, log, es.Service{
		Name:        "tracking",
		Version:     "1.0.0",
		Description: "Decides which positions of an order's operator count.",
		Kinds:       []es.Kind{track},
	})
}
