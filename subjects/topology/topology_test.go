package topology_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

func connect(t *testing.T, bus *bustest.Bus) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	nc := bus.Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

func TestEnsureFromManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	bus := bustest.StartCluster(t)
	_, js := connect(t, bus)
	if err := js.DeleteStream(t.Context(), subjects.StreamOps); err != nil {
		t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(t.Context())
	for range 8 {
		_, js := connect(t, bus)
		group.Go(func() error { return topology.Ensure(ctx, js, topology.Config{Replicas: 3}) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestEnsureUpdatesAChangedSetting(t *testing.T) {
	t.Parallel()
	_, js := connect(t, bustest.Start(t))
	if err := topology.Ensure(t.Context(), js, topology.Config{TrailAge: time.Hour}); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subjects.StreamTracking)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config.MaxAge; got != time.Hour {
		t.Errorf("MaxAge = %v, want 1h", got)
	}
}

func TestEnsureRefusesWhatCannotChange(t *testing.T) {
	t.Parallel()
	_, js := connect(t, bustest.Start(t))
	if err := js.DeleteStream(t.Context(), subjects.StreamRoom); err != nil {
		t.Fatal(err)
	}
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: subjects.StreamRoom, Subjects: []string{"evt.room.*"}, Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); !errors.Is(err, topology.ErrIncompatible) {
		t.Errorf("got %v, want ErrIncompatible", err)
	}
}

func TestEnsureRefusesANewerLayout(t *testing.T) {
	t.Parallel()
	_, js := connect(t, bustest.Start(t))
	cfg := topology.Streams(topology.Config{})[0]
	cfg.Metadata = map[string]string{"latido-layout": "99"}
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); !errors.Is(err, topology.ErrNewer) {
		t.Errorf("got %v, want ErrNewer", err)
	}
}

func TestFactsComeBackOnTheFeed(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, bustest.StartWith(t, topology.Config{
		Kinds: []subjects.Kind{{Name: "orders", Durability: subjects.Durable, Stream: subjects.StreamApp}},
	}))
	for _, name := range []string{"room:a b", "tracking:1", "ops:broadcast", "global:system", "user:ana", "group:1", "app:x", "orders:7"} {
		channel, err := subjects.ParseChannel(name)
		if err != nil {
			t.Fatal(err)
		}
		feed, err := nc.SubscribeSync(channel.Feed())
		if err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(t.Context(), channel.Event(), []byte(`{}`))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		msg, err := feed.NextMsgWithContext(ctx)
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if msg.Subject != channel.Feed() || msg.Header.Get(jetstream.SequenceHeader) == "" {
			t.Errorf("%s: republished as %s %v after %+v", name, msg.Subject, msg.Header, ack)
		}
	}
}
