package estest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Run is a service's entry.
type Run func(ctx context.Context, nc *nats.Conn, log *slog.Logger) error

// Replica runs a service on a connection of its own, as another process would,
// and returns when it takes commands. It ends with the test or when stop is
// called, which waits for it. An error that it logs fails the test.
func Replica(t *testing.T, bus *bustest.Bus, run Run) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	nc := bus.Connect(t)
	watch := &logWatch{t: t, serving: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, nc, slog.New(watch)) }()
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

// Caller sends commands as the bridge does.
type Caller struct {
	t  *testing.T
	nc *nats.Conn
}

// NewCaller connects to the bus.
func NewCaller(t *testing.T, bus *bustest.Bus) Caller { return Caller{t: t, nc: bus.Connect(t)} }

// Ask sends one command. As long as nobody listens, as while a cluster tells its
// nodes of a new service, it asks again.
func (c Caller) Ask(call es.Call) (uint64, error) {
	for {
		seq, err := call.Do(c.t.Context(), c.nc)
		if !errors.Is(err, nats.ErrNoResponders) {
			return seq, err
		}
	}
}

// Do sends a command that must be accepted, and returns its sequence.
func (c Caller) Do(call es.Call) uint64 {
	c.t.Helper()
	seq, err := c.Ask(call)
	if err != nil {
		c.t.Fatalf("%s on %s by %s: %v", call.Command, call.Channel, call.From, err)
	}
	return seq
}

// Refused sends a command that must be refused with the code.
func (c Caller) Refused(code schemas.Code, call es.Call) {
	c.t.Helper()
	seq, err := c.Ask(call)
	if err == nil {
		c.t.Fatalf("%s on %s by %s: accepted at %d, want %s", call.Command, call.Channel, call.From, seq, code.Reason())
	}
	if !errors.Is(err, schemas.Refusal{Code: code}) {
		c.t.Fatalf("%s on %s by %s: %v, want %s", call.Command, call.Channel, call.From, err, code.Reason())
	}
}

// Facts reads the stored events of a channel back, as "name {data}".
func (c Caller) Facts(channel subjects.Channel) []string {
	c.t.Helper()
	stream, subject := subjects.Catalog[channel.Kind].Stream, channel.Event()
	last, err := history.Last(c.t.Context(), c.nc, stream, subject)
	if err != nil {
		c.t.Fatal(err)
	}
	var facts []string
	_, err = history.Read(c.t.Context(), c.nc, stream, subject, 0, last, func(page history.Page) error {
		for _, fact := range page.Facts {
			facts = append(facts, fact.Header.Get(subjects.HeaderEvent)+" "+string(fact.Data))
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return facts
}
