package estest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology/bustest"
)

// patience bounds waits for what must happen, so that a failing test ends.
const patience = time.Minute

// Run is a service's entry.
type Run func(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error

// Replica runs a service on a connection of its own, as another process would,
// and returns when it takes commands. It ends with the test or when stop is
// called, which waits for it. An error that it logs fails the test.
func Replica(t *testing.T, bus *bustest.Bus, run Run) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	nc := bus.Connect(t)
	watch := &logWatch{t: t, serving: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nc, Verifier, slog.New(watch)) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("service ended: %v", err)
		}
	})
	t.Cleanup(stop)
	select {
	case <-watch.serving:
	case err := <-ended:
		ended <- nil
		t.Fatalf("service did not start: %v", err)
	}
	return stop
}

// logWatch waits for the line that says that a service takes commands.
type logWatch struct {
	t       *testing.T
	once    sync.Once
	serving chan struct{}
}

func (w *logWatch) Enabled(context.Context, slog.Level) bool { return true }
func (w *logWatch) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w *logWatch) WithGroup(string) slog.Handler            { return w }

func (w *logWatch) Handle(_ context.Context, r slog.Record) error {
	if r.Message == es.Serving {
		w.once.Do(func() { close(w.serving) })
		return nil
	}
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	if r.Level >= slog.LevelError {
		w.t.Error(text)
	} else {
		w.t.Log(text)
	}
	return nil
}
