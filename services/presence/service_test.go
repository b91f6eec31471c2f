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
	"github.com/latido/latido/subjects/lease"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology/bustest"
)

var (
	room = subjects.Channel{Kind: "room", ID: "42"}
	ana  = subjects.Channel{Kind: "user", ID: "ana"}
)

// runImpatiently is Run that looks more often.
func runImpatiently(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error {
	return run(ctx, nc, verifier, log, timing{expire: 20 * time.Millisecond, progress: 50 * time.Millisecond, anew: 500 * time.Millisecond})
}

// bridge writes to the buckets what a bridge would.
type bridge struct {
	estest.Caller
	t        *testing.T
	bus      *bustest.Bus
	sessions jetstream.KeyValue
}

// node is the one that holds sessions where a test does not care.
const node = "b0"

func newBridge(t *testing.T, bus *bustest.Bus) bridge {
	t.Helper()
	b := bridge{Caller: estest.NewCaller(t, bus), t: t, bus: bus}
	var err error
	if b.sessions, err = b.JS.KeyValue(t.Context(), subjects.BucketPresence); err != nil {
		t.Fatal(err)
	}
	b.lease(node)
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

// write stores a message in a bucket.
func (b bridge) write(msg *nats.Msg) {
	b.t.Helper()
	b.Insist(func() error {
		_, err := b.JS.PublishMsg(b.t.Context(), msg)
		return err
	})
}

func (b bridge) come(user, ref, node string) {
	b.t.Helper()
	value, err := json.Marshal(map[string]string{"user": user, "ref": ref, "node": node})
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(seat.Hold(subjects.PresenceKey(node, room.Seat(user, ref)), value))
}

func (b bridge) anaGoes(ref string) {
	b.t.Helper()
	b.write(seat.Leave(subjects.PresenceKey(node, room.Seat("ana", ref)), time.Second))
}

// lease holds a node's lease until the test ends, or die is called.
func (b bridge) lease(node string) (die func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	nc := b.bus.Connect(b.t)
	begun, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		if err := lease.New(lease.Config{Node: node, Feed: nc, Ask: nc}).Run(ctx, func() { close(begun) }); err != nil {
			b.t.Error(err)
		}
	}()
	<-begun
	die = func() { cancel(); <-ended }
	b.t.Cleanup(die)
	return die
}

func TestFirstSessionInLastSessionOut(t *testing.T) {
	t.Parallel()
	b := serving(t, 2)
	feed := b.Feed(ana)
	b.come("ana", "phone", node)
	feed.Await("online")
	b.come("ana", "laptop", node)
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
	b.come("ana", "phone", node)
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
	b.come("ana", "phone", node)
	gone.Await("online")
	stop()
	b.anaGoes("phone")
	b.come("luis", "phone", node)
	estest.Replica(t, bus, Run)
	gone.Await("offline")
	back.Await("online")
}

func TestADeadNodeTakesItsSessionsWithIt(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b := newBridge(t, bus)
	die := b.lease("b1")
	b.lease("b2.example")
	b.come("ana", "phone", "b1")
	b.come("luis", "phone", "b2.example")
	b.come("eve", "phone", "b3") // whose node died before anyone watched
	feed, luis, eve := b.Feed(ana), b.Feed(subjects.Channel{Kind: "user", ID: "luis"}), b.Feed(subjects.Channel{Kind: "user", ID: "eve"})
	estest.Replica(t, bus, runImpatiently)
	estest.Replica(t, bus, runImpatiently)
	feed.Await("online")
	luis.Await("online")
	eve.Await("offline")
	die()
	feed.Await("offline")
	b.come("ana", "phone", node) // and is back elsewhere
	feed.Await("online")
	if names := b.Names(subjects.Channel{Kind: "user", ID: "luis"}); !slices.Equal(names, []string{"online"}) {
		t.Errorf("luis: stored %v", names)
	}
	// eve is gone; ana and luis are there. Which replica found whom dead is left open.
	for stats := (map[string]int64{}); stats["sessions"] != 2 || stats["users"] != 2; {
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
	b.come("ana", "phone", node)
	feed.Await("online")
	bus.Kill(0)
	bus.Restart(t, 0)
	b.anaGoes("phone")
	feed.Await("offline")
}
