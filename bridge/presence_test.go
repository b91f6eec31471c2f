package bridge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology/bustest"
)

const lobby = "app:lobby"

// refs lists the references in a part of a presence frame.
func refs(m message, part string) []string {
	var found []string
	members, _ := m[part].([]any)
	for _, member := range members {
		ref, _ := member.(map[string]any)["ref"].(string)
		found = append(found, ref)
	}
	return found
}

func (c *client) ref() string { ref, _ := c.welcome["ref"].(string); return ref }

func (c *client) secret() string { secret, _ := c.welcome["session"].(string); return secret }

// change returns the next change of presence, and fails when it is not the one
// expected: so a flicker is a failure.
func (c *client) change(part, ref string) {
	c.t.Helper()
	m := c.expect("presence")
	if got := refs(m, part); len(got) != 1 || got[0] != ref {
		c.t.Fatalf("got %v, want %s of %s", m, part, ref)
	}
}

func TestPresenceAcrossNodes(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	ana, luis := dial(t, one, "ana"), dial(t, two, "luis")
	luis.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	if state := luis.expect("presence"); state["count"] != 0.0 {
		t.Fatalf("state %v, want nobody", state)
	}
	ana.must(`"op":"track","channel":%q,"meta":{"mood":"calm"}`, lobby)
	luis.change("joins", ana.ref())
	ana.must(`"op":"track","channel":%q,"meta":{"mood":"busy"}`, lobby)
	luis.change("updates", ana.ref())
	luis.must(`"op":"track","channel":%q`, lobby)
	luis.change("joins", luis.ref())
	ana.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	if state := ana.expect("presence"); state["count"] != 2.0 || len(refs(state, "state")) != 2 {
		t.Fatalf("state %v, want two", state)
	}
	ana.must(`"op":"untrack","channel":%q`, lobby)
	luis.change("leaves", ana.ref())
}

// A dropped session that comes back within its grace, on whichever node, was
// never away; one that does not is gone when the grace is over.
func TestGrace(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Grace: time.Hour}})
	two, _ := runBridge(t, bus, Config{Node: "two", Limits: session.Limits{Grace: time.Hour}})
	brief, _ := runBridge(t, bus, Config{Node: "brief", Limits: session.Limits{Grace: time.Second}})
	watcher := dial(t, one, "luis")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	watcher.expect("presence")
	ana := dial(t, one, "ana")
	ana.must(`"op":"track","channel":%q,"meta":1`, lobby)
	watcher.change("joins", ana.ref())
	for _, node := range []*Bridge{two, one} {
		_ = ana.conn.CloseNow()
		back := dial(t, node, "ana", ana.secret())
		if back.ref() != ana.ref() {
			t.Fatalf("came back as %s, was %s", back.ref(), ana.ref())
		}
		back.must(`"op":"track","channel":%q,"meta":1`, lobby)
		ana = back
	}
	// The next change is the end of this second member, not a flicker of the first.
	other := dial(t, brief, "eva")
	other.must(`"op":"track","channel":%q`, lobby)
	watcher.change("joins", other.ref())
	_ = other.conn.CloseNow()
	watcher.change("leaves", other.ref())
	if err := ana.conn.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	watcher.change("leaves", ana.ref()) // after a goodbye, at once
	metrics := scrape(t, one)
	for _, line := range []string{"presence_members 0", "presence_joins_total 2", "presence_leaves_total 2", "presence_expiries_total 1"} {
		if !strings.Contains(metrics, "latido_bridge_"+line+"\n") {
			t.Errorf("metrics without %s", line)
		}
	}
}

const generation = "Latido-Generation"

// seatOf is what the bucket says of a session of ana's in the lobby, by a node.
func seatOf(t *testing.T, bus *bustest.Bus, node, ref string) *jetstream.RawStreamMsg {
	t.Helper()
	return seatIn(t, bus, lobby, node, ref)
}

func seatIn(t *testing.T, bus *bustest.Bus, name, node, ref string) *jetstream.RawStreamMsg {
	t.Helper()
	stream, err := jetStream(t, bus).Stream(t.Context(), seat.Stream)
	if err != nil {
		t.Fatal(err)
	}
	channel, err := subjects.ParseChannel(name)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := stream.GetLastMsgForSubject(t.Context(), seat.Keys+subjects.PresenceKey(node, channel.Seat("ana", ref)))
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

// record stores a message in the bucket of presence.
func record(t *testing.T, bus *bustest.Bus, msg *nats.Msg) {
	t.Helper()
	if _, err := jetStream(t, bus).PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

func scrape(t *testing.T, b *Bridge) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.Addr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A node that stops in an orderly way makes nobody leave who comes back in time.
func TestDrainKeepsPresence(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, stop := runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Grace: time.Hour}})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	watcher := dial(t, two, "luis")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	watcher.expect("presence")
	ana := dial(t, one, "ana")
	ana.must(`"op":"track","channel":%q`, lobby)
	watcher.change("joins", ana.ref())
	stop()
	ana.expect("drain")
	if code := ana.closed(); code != 4503 {
		t.Errorf("closed with %d, want 4503", code)
	}
	back := dial(t, two, "ana", ana.secret())
	back.must(`"op":"track","channel":%q`, lobby)
	other := dial(t, two, "eva")
	other.must(`"op":"track","channel":%q`, lobby)
	watcher.change("joins", other.ref())
}

// An entry that was removed although its session is there comes back.
func TestRemovedEntryIsRestored(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	ana := dial(t, b, "ana")
	ana.must(`"op":"track","channel":%q`, lobby)
	ana.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	ana.find("a state with ana", func(m message) bool { return m["count"] == 1.0 })
	entry := seatOf(t, bus, b.config.Node, ana.ref())
	record(t, bus, seat.Leave(strings.TrimPrefix(entry.Subject, seat.Keys), time.Second))
	wait(t, "the entry to be written again", func() bool {
		again := seatOf(t, bus, b.config.Node, ana.ref())
		return again.Sequence > entry.Sequence && len(again.Data) > 0
	})
}

// A crowd is told in pages, and the count is exact.
func TestLargeStateComesInPages(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Sessions: 1000}})
	const crowd = 450
	for range crowd {
		dial(t, b, "ana").must(`"op":"track","channel":%q`, lobby)
	}
	other, _ := runBridge(t, bus, Config{})
	c := dial(t, other, "luis")
	c.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	seen := make(map[string]bool)
	for len(seen) < crowd {
		m := c.expect("presence")
		if m["count"] != float64(crowd) {
			t.Fatalf("count %v, want %d", m["count"], crowd)
		}
		for _, ref := range append(refs(m, "state"), refs(m, "joins")...) {
			if seen[ref] {
				t.Fatalf("%s was told twice", ref)
			}
			seen[ref] = true
		}
	}
}

// While the bus is away nobody knows who is there: whoever comes is told when it
// is back.
func TestStateWaitsForTheBus(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	ana := dial(t, b, "ana")
	ana.must(`"op":"subscribe","channel":"app:x","presence":true`)
	ana.must(`"op":"track","channel":"app:x"`)
	ana.find("a join", func(m message) bool { return len(refs(m, "joins")) == 1 })
	b.degrade(causeBus, "a test")
	luis := dial(t, b, "luis")
	luis.must(`"op":"subscribe","channel":"app:x","presence":true`)
	luis.must(`"op":"track","channel":"app:x"`)
	ana.find("luis", func(m message) bool { return len(refs(m, "joins")) == 1 })
	luis.must(`"op":"publish","channel":"app:x","event":"e","data":{}`)
	luis.expect("event")
	for _, m := range luis.queue {
		if m.op() == "presence" {
			t.Errorf("told while the bus is away: %v", m)
		}
	}
	b.mend(causeBus)
	if state := luis.expect("presence"); len(refs(state, "state")) != 2 {
		t.Errorf("told %v", state)
	}
}

// Who was told of a join on one node finds it in the state on another, however
// soon they ask there.
func TestStateHoldsWhatOthersWereTold(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	here, _ := runBridge(t, bus, Config{})
	there, _ := runBridge(t, bus, Config{})
	for _, b := range []*Bridge{here, there} {
		dial(t, b, "watcher").must(`"op":"subscribe","channel":"app:x","presence":true`)
	}
	witness, asker := dial(t, here, "ana"), dial(t, there, "ana")
	witness.must(`"op":"subscribe","channel":"app:x","presence":true`)
	for i := range 30 {
		member := dial(t, here, fmt.Sprint("member ", i))
		member.must(`"op":"track","channel":"app:x"`)
		ref := member.ref()
		witness.find("the join", func(m message) bool { return slices.Contains(refs(m, "joins"), ref) })
		asker.must(`"op":"subscribe","channel":"app:x","presence":true`)
		if state := asker.expect("presence"); !slices.Contains(refs(state, "state"), ref) {
			t.Fatalf("%s was told of here, and is lacking there: %v", ref, state)
		}
		asker.must(`"op":"unsubscribe","channel":"app:x"`)
		asker.queue = nil
	}
}

// A session works until it was told to go, although others were already.
func TestSessionsWorkUntilTheirGoodbye(t *testing.T) {
	t.Parallel()
	b, stop := runBridge(t, bustest.Start(t), Config{Drain: time.Hour})
	first, second := dial(t, b, "ana"), dial(t, b, "luis")
	for _, c := range []*client{first, second} {
		c.must(`"op":"subscribe","channel":%q`, lobby)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	wait(t, "a goodbye", func() bool { return b.node.SessionCount() == 1 })
	if b.node.Account(first.ref()) == nil {
		first = second
	}
	first.must(`"op":"publish","channel":%q,"event":"still here","data":{}`, lobby)
	first.expect("event")
	_ = first.conn.CloseNow()
	<-stopped
}

// Without room to store it, what must be stored is refused, and nothing else is.
func TestStorageFull(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	b, _ := runBridge(t, bustest.Start(t), Config{Storage: func() error {
		if full.Load() {
			return errors.New("the disk is full")
		}
		return nil
	}})
	ana := dial(t, b, "ana")
	ana.must(`"op":"subscribe","channel":%q`, lobby)
	full.Store(true)
	ana.expect("degraded")
	if answer := ana.ask(`"op":"track","channel":%q`, lobby); answer["code"] != 4509.0 || answer["retry"] != true {
		t.Errorf("track: %v", answer)
	}
	ana.must(`"op":"publish","channel":%q,"event":"live","data":{}`, lobby)
	ana.expect("event")
	full.Store(false)
	ana.expect("restored")
	ana.must(`"op":"track","channel":%q`, lobby)
}
