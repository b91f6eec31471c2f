// Package presence decides who is there: it folds sessions to users, and writes
// down when a user's first session comes and the last one goes. It answers
// "decided by whom?" for channels of kind user.
//
// It imports services/internal/es, schemas and subjects, and no other service.
package presence

import (
	"context"
	"log/slog"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects/identity"
)

// Run keeps presence until ctx ends, and returns when everything it started has
// ended.
func Run(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error {
	return run(ctx, nc, verifier, log, patient)
}

func run(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger, timing timing) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log = log.With("service", "presence")
	watcher := newWatcher(nc, log, timing)
	var running sync.WaitGroup
	running.Go(func() { watcher.reconciler.run(ctx) })
	running.Go(func() { watcher.run(ctx) })
	err := es.Run(ctx, nc, verifier, log, es.Service{
		Name:        "presence",
		Version:     "1.0.0",
		Description: "Decides who is there, as what, and with whom: users, their status and plans, groups.",
		Kinds:       watcher.kinds(),
		Stats:       map[string]func() map[string]int64{"user-observe": watcher.stats},
	})
	cancel()
	running.Wait()
	return err
}
