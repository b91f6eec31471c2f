// Package chat decides about rooms: who may enter, who may speak, and when a
// room is closed. It answers "decided by whom?" for channels of kind room.
//
// It imports services/internal/es, schemas and subjects, and no other service.
package chat

import (
	"context"
	"log/slog"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects/identity"
)

// Run answers the commands of rooms until ctx ends, and returns when everything
// it started has ended.
func Run(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error {
	return es.Run(ctx, nc, verifier, log, es.Service{
		Name:        "chat",
		Version:     "1.0.0",
		Description: "Decides about rooms: membership, messages, closing.",
		Kinds:       []es.Kind{room},
	})
}
