package bridge

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology/bustest"
)

// plug is dial for ana with a browser that says what it is.
func plug(t *testing.T, b *Bridge, secret string) *client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+b.Addr()+"/ws", &websocket.DialOptions{Subprotocols: []string{"latido.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn}
	t.Cleanup(func() { _ = conn.CloseNow() })
	c.send(fmt.Sprintf(`{"op":"hello","token":%q,"session":%q,"device":{"kind":"mobile"}}`, token(t, b, "ana", ""), secret))
	c.welcome = c.expect("welcome")
	return c
}

// devices watches the entries of ana's devices.
type devices struct {
	t     *testing.T
	watch jetstream.KeyWatcher
}

func watchDevices(t *testing.T, bus *bustest.Bus) devices {
	t.Helper()
	js, err := jetstream.New(bus.Connect(t), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), subjects.BucketPresence)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := bucket.Watch(t.Context(), subjects.Channel{Kind: "user", ID: "ana"}.Present(), jetstream.UpdatesOnly())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watch.Stop() })
	return devices{t, watch}
}

// next is the next change: an activity, or "gone".
func (d devices) next() string {
	d.t.Helper()
	select {
	case entry := <-d.watch.Updates():
		if entry.Operation() != jetstream.KeyValuePut {
			return "gone"
		}
		var value struct {
			presence.Entry
			Meta presence.About `json:"meta"`
		}
		if err := json.Unmarshal(entry.Value(), &value); err != nil {
			d.t.Fatal(err)
		}
		if value.Device != "mobile" || value.Meta.LastActive.IsZero() {
			d.t.Errorf("entry %s", entry.Value())
		}
		if value.Waits() > 0 {
			return "in grace, " + value.Meta.Activity
		}
		return value.Meta.Activity
	case <-time.After(patience):
		d.t.Fatal("no change")
		return ""
	}
}

func (d devices) expect(changes ...string) {
	d.t.Helper()
	for _, want := range changes {
		if got := d.next(); got != want {
			d.t.Fatalf("then %s, want %s", got, want)
		}
	}
}

// until is expect for a change before which the device may have fallen asleep further,
// or not have been seen to, on a machine that stalls.
func (d devices) until(want string, before ...string) {
	d.t.Helper()
	for {
		got := d.next()
		if got == want {
			return
		}
		if !slices.Contains(before, got) {
			d.t.Fatalf("then %s, want %s", got, want)
		}
	}
}

// A device is written when its activity becomes another, and at no other time.
func TestADeviceFallsAsleepAndWakes(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Idle: time.Second, Away: 3 * time.Second}})
	seen := watchDevices(t, bus)
	ana := plug(t, b, "")
	seen.expect("active")
	seen.until("away", "idle")
	ana.send(`{"op":"activity"}`)
	seen.expect("active")
}

// A reconnect is nothing that the user did; a goodbye ends the device at once.
func TestADeviceComesBackAsItWas(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Idle: 3 * time.Second, Away: time.Hour, Grace: time.Hour}})
	seen := watchDevices(t, bus)
	ana := plug(t, b, "")
	seen.expect("active", "idle")
	_ = ana.conn.CloseNow()
	seen.expect("in grace, idle")
	back := plug(t, b, ana.secret())
	seen.expect("idle")
	back.send(`{"op":"activity"}`)
	seen.expect("active")
	if err := back.conn.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	seen.until("gone", "idle")
}

// A device whose entry is gone although its session is there, is there again when
// the bus is back.
func TestADeviceIsConfirmed(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	seen := watchDevices(t, bus)
	ana := plug(t, one, "")
	seen.expect("active")
	on := subjects.Channel{Kind: "user", ID: "ana"}
	record(t, bus, seat.Leave(subjects.PresenceKey("one", on.Seat("ana", ana.ref())), time.Second))
	seen.expect("gone")
	one.node.ConfirmDevices(t.Context())
	seen.expect("active")
	one.node.ConfirmDevices(t.Context()) // all is well: nothing to write
	_ = ana.conn.CloseNow()
	seen.expect("in grace, active")
}

// A device goes on through another node as it was, and what the first one says of
// the dead connection does not end it.
func TestADeviceGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Idle: 2 * time.Second, Away: time.Hour, Grace: time.Hour}})
	two, _ := runBridge(t, bus, Config{Node: "two", Limits: session.Limits{Idle: 2 * time.Second, Away: time.Hour, Grace: time.Hour}})
	seen := watchDevices(t, bus)
	ana := plug(t, one, "")
	seen.expect("active", "idle")
	back := plug(t, two, ana.secret())
	seen.expect("idle")
	_ = ana.conn.CloseNow()
	seen.expect("in grace, idle")
	if err := back.conn.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	seen.expect("gone")
	watcher := dial(t, one, "ana")
	watcher.must(`"op":"subscribe","channel":"user:ana","presence":true`)
	if state := watcher.expect("presence"); state["count"] != 0.0 {
		t.Errorf("the goodbye at the second node left %v", state)
	}
}

// Who said goodbye elsewhere is gone, though an older connection is open still.
func TestADeviceIsGoneThoughAConnectionHangs(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	seen := watchDevices(t, bus)
	hanging := plug(t, one, "")
	seen.expect("active")
	back := plug(t, two, hanging.secret())
	seen.expect("active")
	if err := back.conn.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	seen.expect("gone")
	watcher := dial(t, one, "ana")
	watcher.must(`"op":"subscribe","channel":"user:ana","presence":true`)
	if state := watcher.expect("presence"); state["count"] != 0.0 {
		t.Errorf("the goodbye at the second node left %v", state)
	}
}

// The entry of a device belongs to the bridge, cards to the presence service.
func TestNobodyForgesADevice(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	seen := watchDevices(t, bus)
	ana := plug(t, b, "")
	seen.expect("active")
	for _, channel := range []string{"user:ana", "presence:user.ana", "presence:group.team"} {
		if answer := ana.ask(`"op":"track","channel":%q,"meta":{}`, channel); answer["code"] != 4030.0 {
			t.Errorf("track %s: %v", channel, answer)
		}
	}
	ana.must(`"op":"untrack","channel":"user:ana"`)
	ana.must(`"op":"subscribe","channel":"user:ana","presence":true`)
	ana.find("herself after untrack", func(m message) bool { return m.op() == "presence" && m["count"] == 1.0 })
	ana.must(`"op":"unsubscribe","channel":"user:ana"`)
	ana.must(`"op":"track","channel":"presence:lobby","meta":{}`) // any other topic is free
	if answer := ana.ask(`"op":"count","channel":"user:ana"`); answer["data"].(map[string]any)["count"] != 1.0 {
		t.Errorf("after unsubscribe: %v", answer)
	}
}

// Who is in a group is for its members, and for as long as they are.
func TestGroupPresenceIsForMembers(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	js, err := jetstream.New(bus.Connect(t), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	members, err := js.KeyValue(t.Context(), subjects.BucketMembers)
	if err != nil {
		t.Fatal(err)
	}
	team := subjects.Channel{Kind: "group", ID: "team"}
	if _, err := members.Put(t.Context(), team.Member("luis"), []byte(`{"role":"member"}`)); err != nil {
		t.Fatal(err)
	}
	luis, eve := dial(t, b, "luis"), dial(t, b, "eve")
	if answer := eve.ask(`"op":"subscribe","channel":"presence:group.team","presence":true`); answer["code"] != 4030.0 {
		t.Errorf("eve: %v", answer)
	}
	luis.must(`"op":"subscribe","channel":"presence:group.team","presence":true`)
	if err := members.Delete(t.Context(), team.Member("luis")); err != nil {
		t.Fatal(err)
	}
	if ended := luis.expect("unsubscribed"); ended["channel"] != "presence:group.team" || ended["code"] != 4031.0 {
		t.Errorf("ended: %v", ended)
	}
}

// What a member says fits the app's schema, its key is its own or its ref, and its
// position is as inexact as it wants.
func TestWhatAMemberSays(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	mood, err := schemas.Compile("mood", []byte(`{"type":"object","required":["mood"],"properties":{"mood":{"enum":["calm","busy"]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := runBridge(t, bus, Config{Meta: map[string]*schemas.Schema{"app": mood}})
	ana := dial(t, b, "ana")
	ana.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	ana.expect("presence")
	if answer := ana.ask(`"op":"track","channel":%q,"meta":{"mood":"wild"}`, lobby); answer["code"] != 4003.0 {
		t.Errorf("a wild mood: %v", answer)
	}
	member := func(part string) map[string]any {
		t.Helper()
		m := ana.find(part, func(m message) bool { return len(refs(m, part)) == 1 })
		return m[part].([]any)[0].(map[string]any)
	}
	ana.must(`"op":"track","channel":%q,"meta":{"mood":"calm"}`, lobby)
	if joined := member("joins"); joined["key"] != ana.ref() || joined["position"] != nil {
		t.Errorf("joined: %v", joined)
	}
	ana.must(`"op":"track","channel":%q,"meta":{"mood":"calm"},"key":"seat 7","position":{"lat":40.4168,"lng":-3.7038,"accuracy":"city"}`, lobby)
	updated := member("updates")
	place, _ := updated["position"].(map[string]any)
	if updated["key"] != "seat 7" || place["accuracy"] != "city" || strings.Contains(fmt.Sprint(place), "40.4168") {
		t.Errorf("updated: %v", updated)
	}
	if answer := ana.ask(`"op":"track","channel":%q,"meta":{"mood":"calm"},"position":{"lat":1,"lng":2,"accuracy":"exactly"}`, lobby); answer["code"] != 4003.0 {
		t.Errorf("an unknown accuracy: %v", answer)
	}
	ana.must(`"op":"untrack","channel":%q`, lobby)
	ana.change("leaves", ana.ref())
}

// The HTTP API counts, and gives members page by page.
func TestPresenceOverHTTP(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	want := make(map[string]bool)
	for range 5 {
		c := dial(t, b, "ana")
		c.must(`"op":"track","channel":%q`, lobby)
		want[c.ref()] = true
	}
	c := dial(t, b, "luis")
	c.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	c.find("five", func(m message) bool { return m["count"] == 5.0 })
	type page struct {
		Count   int
		Members []wire.Member
		Next    string
	}
	var counted page
	get(t, b, "luis", "/api/channels/app%3Alobby/presence?count=true", &counted)
	if counted.Count != 5 || counted.Members != nil {
		t.Errorf("counted %+v", counted)
	}
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		var got page
		get(t, b, "luis", "/api/channels/app%3Alobby/presence?limit=2"+after, &got)
		if got.Count != 5 || len(got.Members) > 2 || pages > 2 {
			t.Fatalf("page %d: %+v", pages, got)
		}
		for _, member := range got.Members {
			if !want[member.Ref] {
				t.Errorf("%s is a stranger, or came twice", member.Ref)
			}
			delete(want, member.Ref)
		}
		if after = got.Next; after != "" {
			after = "&after=" + after
		}
	}
	if len(want) > 0 {
		t.Errorf("never came: %v", want)
	}
}

// A device that there is no room to store is shown when there is some, without a word
// to operators for every session and attempt.
func TestADeviceWaitsForRoom(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	var logged journal
	b, _ := runBridge(t, bus, Config{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	seen := watchDevices(t, bus)
	b.node.SetFull(true)
	ana := plug(t, b, "")
	if answer := ana.ask(`"op":"track","channel":%q`, lobby); answer["code"] != float64(schemas.StorageFull) {
		t.Errorf("track: %v", answer)
	}
	b.node.SetFull(false)
	seen.expect("active")
	if text := logged.String(); strings.Contains(text, "WARN") {
		t.Error(text)
	}
}

// journal is a log in memory.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *journal) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *journal) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
