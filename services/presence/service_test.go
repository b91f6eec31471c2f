package presence

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology/bustest"
)

var (
	room = subjects.Channel{Kind: "room", ID: "42"}
	ana  = subjects.Channel{Kind: "user", ID: "ana"}
)

// runImpatiently is Run for buses whose leases need no time to settle.
func runImpatiently(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error {
	return run(ctx, nc, verifier, log, timing{
		settle: 300 * time.Millisecond, returning: 50 * time.Millisecond,
		sweep: 20 * time.Millisecond, progress: 50 * time.Millisecond,
	})
}

// bridge writes to the buckets what a bridge would.
type bridge struct {
	estest.Caller
	t               *testing.T
	sessions, nodes jetstream.KeyValue
}

func newBridge(t *testing.T, bus *bustest.Bus) bridge {
	t.Helper()
	b := bridge{Caller: estest.NewCaller(t, bus), t: t}
	for name, bucket := range map[string]*jetstream.KeyValue{
		subjects.BucketPresence: &b.sessions, subjects.BucketNodes: &b.nodes,
	} {
		var err error
		if *bucket, err = b.JS.KeyValue(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// serving runs replicas of the service on a bus of their own, beside a bridge.
func serving(t *testing.T, replicas int) bridge {
	t.Helper()
	bus := bustest.Start(t)
	for range replicas {
		estest.Replica(t, bus, Run)
	}
	return newBridge(t, bus)
}

func (b bridge) come(user, ref, node string) {
	b.t.Helper()
	value, err := json.Marshal(map[string]string{"user": user, "ref": ref, "node": node})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Insist(func() error {
		_, err := b.sessions.Put(b.t.Context(), room.Presence(user, ref), value)
		return err
	})
}

func (b bridge) anaGoes(ref string) {
	b.t.Helper()
	b.Insist(func() error {
		return b.sessions.Purge(b.t.Context(), room.Presence("ana", ref), jetstream.PurgeTTL(time.Minute))
	})
}

func (b bridge) lease(node string) {
	b.t.Helper()
	b.Insist(func() error {
		_, err := b.nodes.Put(b.t.Context(), subjects.Token(node), []byte("{}"))
		return err
	})
}

func (b bridge) expire(node string) {
	b.t.Helper()
	b.Insist(func() error {
		return b.nodes.Purge(b.t.Context(), subjects.Token(node), jetstream.PurgeTTL(time.Minute))
	})
}

func TestFirstSessionInLastSessionOut(t *testing.T) {
	t.Parallel()
	b := serving(t, 2)
	feed := b.Feed(ana)
	b.come("ana", "phone", "")
	feed.Await("online")
	b.come("ana", "laptop", "")
	b.anaGoes("phone")
	b.anaGoes("laptop")
	var offline struct {
		LastSeen time.Time `json:"last_seen"`
	}
	if err := json.Unmarshal(feed.Await("offline").Data, &offline); err != nil {
		t.Fatal(err)
	}
	if offline.LastSeen.IsZero() || time.Since(offline.LastSeen) > time.Minute {
		t.Errorf("last seen %v", offline.LastSeen)
	}
	b.come("ana", "phone", "")
	feed.Await("online")
	if names := b.Names(ana); !slices.Equal(names, []string{"online", "offline", "online"}) {
		t.Errorf("stored %v", names)
	}
}

func TestWhoeverCameOrWentWhileNobodyKept(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	stop := estest.Replica(t, bus, Run)
	b := newBridge(t, bus)
	gone, back := b.Feed(ana), b.Feed(subjects.Channel{Kind: "user", ID: "luis"})
	b.come("ana", "phone", "")
	gone.Await("online")
	stop()
	b.anaGoes("phone")
	b.come("luis", "phone", "")
	estest.Replica(t, bus, Run)
	gone.Await("offline")
	back.Await("online")
}

func TestADeadNodeTakesItsSessionsWithIt(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b := newBridge(t, bus)
	b.lease("b1")
	b.lease("b2.example")
	b.come("ana", "phone", "b1")
	b.come("luis", "phone", "b2.example")
	b.come("eve", "phone", "b0") // whose node died before anyone watched
	feed, luis, eve := b.Feed(ana), b.Feed(subjects.Channel{Kind: "user", ID: "luis"}), b.Feed(subjects.Channel{Kind: "user", ID: "eve"})
	estest.Replica(t, bus, runImpatiently)
	estest.Replica(t, bus, runImpatiently)
	feed.Await("online")
	luis.Await("online")
	eve.Await("offline")
	b.expire("b1")
	feed.Await("offline")
	if _, err := b.sessions.Get(t.Context(), room.Presence("luis", "phone")); err != nil {
		t.Errorf("luis's session on a node that lives: %v", err)
	}
	if names := b.Names(subjects.Channel{Kind: "user", ID: "luis"}); !slices.Equal(names, []string{"online"}) {
		t.Errorf("luis: stored %v", names)
	}
	// eve and ana are gone; luis is there. Which replica found whom dead is left open.
	for stats := (map[string]int64{}); stats["sessions"] != 1 || stats["users"] != 1; {
		stats = b.stats()
	}
}

// stats is what "nats micro stats presence" shows beside the endpoint of observations.
func (b bridge) stats() map[string]int64 {
	b.t.Helper()
	answer, err := b.Conn.RequestWithContext(b.t.Context(), "$SRV.STATS.presence", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	var stats micro.Stats
	if err := json.Unmarshal(answer.Data, &stats); err != nil {
		b.t.Fatal(err)
	}
	for _, endpoint := range stats.Endpoints {
		var counts map[string]int64
		if endpoint.Name == "user-observe" && json.Unmarshal(endpoint.Data, &counts) == nil {
			return counts
		}
	}
	b.t.Fatalf("no endpoint of observations: %s", answer.Data)
	return nil
}

func TestKeepingSurvivesTheServer(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	estest.Replica(t, bus, runImpatiently)
	b := newBridge(t, bus)
	feed := b.Feed(ana)
	b.come("ana", "phone", "")
	feed.Await("online")
	bus.Kill(0)
	bus.Restart(t, 0)
	b.anaGoes("phone")
	feed.Await("offline")
}
