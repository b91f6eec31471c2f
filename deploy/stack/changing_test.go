package stack_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Whatever is set otherwise at the next start, what was stored is there.
func TestSettingsMayChangeOnExistingData(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	changes := []struct {
		name   string
		change func(*stack.Config)
	}{
		{"flushed before acknowledged", func(c *stack.Config) { c.Sync = 0 }},
		{"flushed now and then", func(c *stack.Config) { c.Sync = time.Minute }},
		{"a kind more", func(c *stack.Config) { c.Kinds = []string{"orders:durable"} }},
		{"the kind stored no more", func(c *stack.Config) { c.Kinds = []string{"orders"} }},
		{"the kind gone", func(c *stack.Config) { c.Kinds = nil }},
		{"the kind back", func(c *stack.Config) { c.Kinds = []string{"orders:durable"} }},
		{"another name", func(c *stack.Config) { c.Node = "renamed" }},
		{"another secret", func(c *stack.Config) { c.Secret = []byte("another " + goodSecret) }},
		{"no secret", func(c *stack.Config) { c.Secret = nil }},
	}
	stored := uint64(0)
	for _, change := range changes {
		change.change(&cfg)
		running, err := stack.Start(t.Context(), cfg)
		if err != nil {
			t.Fatalf("%s: %v", change.name, err)
		}
		nc := inside(t, running)
		js, err := jetstream.New(nc, bustest.Patient)
		if err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"evt.room.kept", "evt.tracking.kept", "evt.app.kept"} {
			if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
				t.Errorf("%s: %s: %v", change.name, subject, err)
			}
		}
		stored++
		for _, name := range []string{"ROOM", "TRACKING", "APP"} {
			stream, err := js.Stream(t.Context(), name)
			if err != nil {
				t.Fatalf("%s: %v", change.name, err)
			}
			if got := stream.CachedInfo().State.Msgs; got != stored {
				t.Errorf("%s: %d messages of %d in %s", change.name, got, stored, name)
			}
		}
		nc.Close()
		if err := running.Close(); err != nil {
			t.Errorf("%s: %v", change.name, err)
		}
	}
}

// inside connects to the NATS server that a stack embeds.
func inside(tb testing.TB, running *stack.Stack) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(running.NATSURL(), nats.UserInfo(running.Config().NATSUser, running.Config().NATSPassword))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	return nc
}

// Each part joins the embedded server of a process with other settings than its own.
func TestPartsJoinTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Sync, cfg.Parts, cfg.Kinds = 0, []string{"bridge"}, []string{"orders:durable"}
	host := start(t, cfg)
	for _, part := range stack.Parts() {
		joins := config(t)
		joins.Parts, joins.NATSURL, joins.Data = []string{part}, host.NATSURL(), cfg.Data
		joins.NATSUser, joins.NATSPassword = host.Config().NATSUser, host.Config().NATSPassword
		if part == "topology" {
			joins.Kinds = cfg.Kinds
		}
		start(t, joins)
	}
	js, err := jetstream.New(inside(t, host), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	app, err := js.Stream(t.Context(), "APP")
	if err != nil {
		t.Fatal(err)
	}
	if subjects := app.CachedInfo().Config.Subjects; fmt.Sprint(subjects) != "[evt.app.* evt.orders.*]" {
		t.Errorf("the joiners left %v", subjects)
	}
}
