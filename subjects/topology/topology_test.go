package topology_test

import (
	"context"
	"errors"
	"slices"
	"strings"
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
	js, err := jetstream.New(nc, bustest.Patient)
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
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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

// Who may write one key of a bucket must not be able to empty it.
func TestMembersAndDoNotDisturbCannotBeRolledUpOrPurged(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, bustest.Start(t))
	for _, name := range []string{subjects.BucketMembers, subjects.BucketDoNotDisturb} {
		stream, err := js.Stream(t.Context(), "KV_"+name)
		if err != nil {
			t.Fatal(err)
		}
		if cfg := stream.CachedInfo().Config; cfg.AllowRollup || !cfg.DenyPurge || !cfg.DenyDelete || !cfg.AllowMsgTTL || cfg.SubjectDeleteMarkerTTL != 0 {
			t.Errorf("%s: %+v", name, cfg)
		}
		if _, err := js.Publish(t.Context(), "$KV."+name+".a.b.kept", []byte("{}")); err != nil {
			t.Fatal(err)
		}
		rollup := nats.NewMsg("$KV." + name + ".a.b.c")
		rollup.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupAll)
		if answer, err := nc.RequestMsg(rollup, time.Minute); err != nil || !strings.Contains(string(answer.Data), `"error"`) {
			t.Errorf("%s: a rollup is answered with %v %v", name, answer, err)
		}
		if err := stream.Purge(t.Context()); err == nil {
			t.Errorf("%s: purged", name)
		}
	}
}

// The layout before this one had markers in its buckets and no node in their keys.
func TestEnsureMigratesAnOlderLayout(t *testing.T) {
	t.Parallel()
	_, js := connect(t, bustest.Start(t))
	for _, want := range topology.Buckets(topology.Config{}) {
		if err := js.DeleteStream(t.Context(), want.Name); err != nil {
			t.Fatal(err)
		}
		if want.Name == "KV_"+subjects.BucketTickets {
			continue // there was none
		}
		old := want
		old.Metadata = map[string]string{"latido-layout": "1"}
		old.AllowRollup, old.DenyPurge, old.SubjectDeleteMarkerTTL = true, false, time.Minute
		if _, err := js.CreateStream(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), strings.TrimSuffix(want.Subjects[0], ">")+"room.1.ana", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range topology.Buckets(topology.Config{}) {
		stream, err := js.Stream(t.Context(), want.Name)
		if err != nil {
			t.Fatal(err)
		}
		kept := uint64(1)
		if want.Name == "KV_presence" || want.Name == "KV_nodes" || want.Name == "KV_tickets" {
			kept = 0
		}
		if got := stream.CachedInfo(); got.State.Msgs != kept || got.Config.DenyPurge != want.DenyPurge || got.Config.AllowRollup != want.AllowRollup {
			t.Errorf("%s: %d messages of %d, %+v", want.Name, got.State.Msgs, kept, got.Config)
		}
	}
}

// A process that joins may know less than those that laid out the bus.
func TestEnsureLeavesWhatItWasNotToldAbout(t *testing.T) {
	t.Parallel()
	orders := subjects.Kind{Name: "orders", Durability: subjects.Durable, Stream: subjects.StreamApp}
	_, js := connect(t, bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{orders}, RelaxTrail: true}))
	config := func(name string) jetstream.StreamConfig {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{Joins: true}); err != nil {
		t.Fatal(err)
	}
	if app, trail := config(subjects.StreamApp), config(subjects.StreamTracking); !slices.Contains(app.Subjects, "evt.orders.*") || trail.PersistMode != jetstream.AsyncPersistMode {
		t.Errorf("app %v, trail %v", app.Subjects, trail.PersistMode)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	if app := config(subjects.StreamApp); slices.Contains(app.Subjects, "evt.orders.*") {
		t.Errorf("a kind that is no more is still in %v", app.Subjects)
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, js := connect(t, bustest.Start(t))
	if err := topology.Missing(t.Context(), js, topology.Config{}); err != nil {
		t.Error(err)
	}
	if err := js.DeleteConsumer(t.Context(), subjects.StreamRoom, "room-members"); err != nil {
		t.Fatal(err)
	}
	if err := topology.Missing(t.Context(), js, topology.Config{}); !errors.Is(err, topology.ErrMissing) || !strings.Contains(err.Error(), "room-members") {
		t.Errorf("got %v, want ErrMissing", err)
	}
	if err := js.DeleteStream(t.Context(), "KV_quiet"); err != nil {
		t.Fatal(err)
	}
	if err := topology.Check(t.Context(), js, topology.Names(topology.Config{})...); !errors.Is(err, topology.ErrMissing) || !strings.Contains(err.Error(), "KV_quiet") {
		t.Errorf("got %v, want ErrMissing", err)
	}
}

// What is as it should be is left alone.
func TestEnsureChangesNothingTwice(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, bustest.Start(t))
	changes, err := nc.SubscribeSync("$JS.EVENT.ADVISORY.STREAM.UPDATED.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []topology.Config{{}, {TrailAge: time.Hour}, {TrailAge: time.Hour}} {
		if err := topology.Ensure(t.Context(), js, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	changed, err := changes.NextMsg(time.Minute)
	if err != nil || changed.Subject != "$JS.EVENT.ADVISORY.STREAM.UPDATED."+subjects.StreamTracking {
		t.Fatalf("%v %v", changed, err)
	}
	if more, _, err := changes.Pending(); err != nil || more > 0 {
		t.Errorf("%d more changes: %v", more, err)
	}
}
