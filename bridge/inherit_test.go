package bridge

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// killed runs a bridge named "one" with a member in the lobby, who is watched on
// another bridge, and has it fall silent.
func killed(t *testing.T, bus *bustest.Bus, limits session.Limits) (member, watcher *client) {
	t.Helper()
	wire := lay(t, bus.URL())
	doomed, _ := runBridgeAt(t, wire.url, Config{Node: "one", Limits: limits})
	two, _ := runBridge(t, bus, Config{Node: "two", Limits: limits})
	watcher = dial(t, two, "luis")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	watcher.expect("presence")
	member = dial(t, doomed, "ana")
	member.must(`"op":"track","channel":%q`, lobby)
	watcher.change("joins", member.ref())
	wire.set(true)
	return member, watcher
}

// Whoever was lost with a bridge stays so when one of its name begins.
func TestABridgeDoesNotBringBackItsDead(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	ana, watcher := killed(t, bus, session.Limits{})
	watcher.change("leaves", ana.ref())
	one, _ := runBridge(t, bus, Config{Node: "one"})
	eva := dial(t, one, "eva")
	eva.must(`"op":"track","channel":%q`, lobby)
	watcher.change("joins", eva.ref())
}

// Whoever is not lost yet is waited for as long as the lease would have kept them.
func TestABridgeWaitsForWhomItsLeaseKept(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	ana, watcher := killed(t, bus, session.Limits{Grace: time.Hour})
	record(t, bus, &nats.Msg{Subject: "$KV." + subjects.BucketNodes + ".one", Data: []byte(`{"node":"one"}`)})
	nc := bus.Connect(t)
	said, err := nc.SubscribeSync(subjects.FeedPresence + subjects.PresenceKey("one", ">"))
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Grace: time.Hour}})
	msg, err := said.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var left hub.Record
	if err := json.Unmarshal(msg.Data, &left); err != nil {
		t.Fatal(err)
	}
	if left.Waits() <= 0 || left.Waits() >= topology.LeaseTTL {
		t.Errorf("waited for %v", left.Waits())
	}
	watcher.change("leaves", ana.ref())
}
