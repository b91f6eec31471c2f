package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/lease"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology/bustest"
)

// isLeft tells that the bucket says of a session of ana's that it was left.
func isLeft(t *testing.T, bus *bustest.Bus, node, ref string) bool {
	t.Helper()
	entry := seatOf(t, bus, node, ref)
	return entry.Header.Get("KV-Operation") == "DEL" && len(entry.Data) == 0
}

// The end of a wait is written by the node that wrote the wait, and that is what others
// tell.
func TestTheEndOfAWaitIsWritten(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Grace: time.Second}})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	watcher := dial(t, two, "luis")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	watcher.expect("presence")
	ana := dial(t, one, "ana")
	ana.must(`"op":"track","channel":%q`, lobby)
	watcher.change("joins", ana.ref())
	_ = ana.conn.CloseNow()
	watcher.change("leaves", ana.ref())
	if !isLeft(t, bus, "one", ana.ref()) {
		t.Error("told before it was written")
	}
}

// waiting writes that ana waits in the lobby, as a node would have it, for a second.
func waiting(t *testing.T, bus *bustest.Bus, node, ref string) {
	t.Helper()
	key := subjects.PresenceKey(node, subjects.Channel{Kind: "app", ID: "lobby"}.Seat("ana", ref))
	record(t, bus, seat.Hold(key, fmt.Appendf(nil, `{"user":"ana","ref":%q,"since":"2026-01-01T00:00:00Z","node":%q,"grace":1}`, ref, node)))
}

// The waits that a bridge did not live to end are ended by the next one of its name.
func TestABridgeEndsTheWaitsOfItsName(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	waiting(t, bus, "one", "r1")
	runBridge(t, bus, Config{Node: "one"})
	wait(t, "the end to be written", func() bool { return isLeft(t, bus, "one", "r1") })
}

// Whose node does not end their wait, although it is there, is shown to nobody who
// comes, and whoever knows them is told so, too.
func TestNobodyNewIsToldOfTheOverdue(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	holds := make(chan struct{})
	go func() {
		nc := bus.Connect(t)
		if err := lease.New(lease.Config{Node: "one", Feed: nc, Ask: nc}).Run(t.Context(), func() { close(holds) }); err != nil {
			t.Error(err)
		}
	}()
	<-holds
	two, _ := runBridge(t, bus, Config{Node: "two"})
	watcher := dial(t, two, "luis")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	watcher.expect("presence")
	waiting(t, bus, "one", "r1")
	watcher.change("joins", "r1")
	bearer := token(t, two, "eva", "")
	wait(t, "nobody to be there", func() bool {
		_, answer := request(t, two, bearer, "GET", "/api/channels/app%3Alobby/presence", "")
		return answer["count"] == 0.0
	})
	watcher.change("leaves", "r1")
	if isLeft(t, bus, "one", "r1") {
		t.Error("another node has written of it")
	}
}
