package bridge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Nobody's mistake ends the session of somebody else, and most do not end one's own.
func TestRefusals(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Channels: 3}})
	witness := dial(t, b, "ana")
	witness.must(`"op":"subscribe","channel":%q`, room)
	c := dial(t, b, "eva")
	for frame, code := range map[string]int{
		`not json`:                    4000,
		`[1,2]`:                       4002,
		`{"id":1} {}`:                 4000,
		`{"op":"fly"}`:                4002,
		`{"id":"x","op":"subscribe"}`: 4002,
		`{"id":7,"op":"fly"}`:         4001,
		`{"id":7,"op":"subscribe","channel":"nothing"}`:                                      4004,
		`{"id":7,"op":"subscribe","channel":"nokind:1"}`:                                     4004,
		`{"id":7,"op":"subscribe","channel":"user:ana"}`:                                     4030,
		`{"id":7,"op":"subscribe","channel":"room:none"}`:                                    4030,
		`{"id":7,"op":"subscribe","channel":"ops:broadcast"}`:                                4030,
		`{"id":7,"op":"subscribe","channel":"app:x","last":"soon"}`:                          4002,
		`{"id":7,"op":"unsubscribe","channel":"app:x"}`:                                      4099,
		`{"id":7,"op":"publish","channel":"room:1","event":"room_opened","data":{}}`:         4006,
		`{"id":7,"op":"publish","channel":"room:1","event":"typing","data":{}}`:              4099,
		`{"id":7,"op":"publish","channel":"global:system","event":"typing","data":{}}`:       4006,
		`{"id":7,"op":"call","channel":"app:x","command":"fly","data":{}}`:                   4005,
		`{"id":7,"op":"call","channel":"room:1","command":"fly.*","data":{}}`:                4005,
		`{"id":7,"op":"call","channel":"user:ana","command":"who","data":{}}`:                4005,
		`{"id":7,"op":"call","channel":"group:x","command":"set_status","data":{}}`:          4005,
		`{"id":7,"op":"track","channel":"user:ana"}`:                                         4030,
		`{"id":7,"op":"track","channel":"app:x","meta":"` + strings.Repeat("x", 3000) + `"}`: 4132,
		`{"id":7,"op":"token","token":"nonsense"}`:                                           4010,
		`{"op":"hello","token":"again"}`:                                                     4002,
	} {
		c.send(frame)
		if answer := c.expect("error"); answer["code"] != float64(code) {
			t.Errorf("%s: %v, want %d", frame, answer, code)
		}
	}
	for i := range 3 {
		c.must(`"op":"subscribe","channel":"app:%d"`, i)
	}
	if answer := c.ask(`"op":"subscribe","channel":"app:3"`); answer["code"] != 4131.0 {
		t.Errorf("one channel too many: %v", answer)
	}
	published := publish(t, bus, 3, 1)
	equal(t, "the witness", witness.events(room, 3), published)
}

func TestClosingRefusals(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Frame: 1000}})
	hurried, _ := runBridge(t, bus, Config{Limits: session.Limits{Handshake: 3 * time.Second}})
	expired, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ana", "exp": 1}).SignedString(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ana", "exp": 1 << 40}).SignedString([]byte("another secret"))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "ana", "exp": 1 << 40}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		frame string
		code  int
	}{
		"no hello":       {`{"id":1,"op":"subscribe","channel":"app:x"}`, 4008},
		"silence":        {"", 4008},
		"no token":       {`{"op":"hello"}`, 4010},
		"expired token":  {fmt.Sprintf(`{"op":"hello","token":%q}`, expired), 4011},
		"foreign token":  {fmt.Sprintf(`{"op":"hello","token":%q}`, foreign), 4010},
		"unsigned token": {fmt.Sprintf(`{"op":"hello","token":%q}`, unsigned), 4010},
		"large frame":    {strings.Repeat(" ", 1001), 4130},
	} {
		address := b.Addr()
		if test.frame == "" {
			address = hurried.Addr()
		}
		conn, _, err := websocket.Dial(t.Context(), "ws://"+address+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{t: t, conn: conn}
		if test.frame != "" {
			c.send(test.frame)
		}
		if code := c.closed(); code != test.code {
			t.Errorf("%s: closed with %d, want %d", name, code, test.code)
		}
	}
	wait(t, "all sessions to be gone", func() bool { return b.node.SessionCount() == 0 })
}

// Nothing follows the goodbye, however busy the session's channels are.
func TestNothingFollowsTheGoodbye(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	for range 20 {
		c := dial(t, b, "ana")
		c.must(`"op":"subscribe","channel":%q`, room)
		done := make(chan struct{})
		go func() {
			defer close(done)
			publish(t, bus, 200, 10)
		}()
		c.events(room, 20)
		b.node.Disconnect(c.ref(), schemas.Refuse(schemas.Draining, "this node stops"))
		if code := c.closed(); code != 4503 {
			t.Errorf("closed with %d, want 4503", code)
		}
		<-done
	}
}

// Browsers that keep coming while a node drains get its code, and do not keep it.
func TestConnectionsWhileDraining(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	for range 2 {
		b, stop := runBridge(t, bus, Config{})
		dial(t, b, "ana")
		ctx, cancel := context.WithCancel(t.Context())
		var comers sync.WaitGroup
		for range 8 {
			comers.Go(func() {
				for ctx.Err() == nil {
					conn, _, err := websocket.Dial(ctx, "ws://"+b.Addr()+"/ws", nil)
					if err == nil {
						_, _, _ = conn.Read(ctx) // until it is closed
						_ = conn.CloseNow()
					}
				}
			})
		}
		stop()
		cancel()
		comers.Wait()
	}
}

// Membership is looked up when a subscription begins, and ends it when revoked.
func TestRevokedMembershipEndsTheSubscription(t *testing.T) {
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
	name := subjects.Channel{Kind: "room", ID: "1"}
	if _, err := members.Put(t.Context(), name.Member("ana"), []byte(`{"role":"member"}`)); err != nil {
		t.Fatal(err)
	}
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":"room:1"`)
	if err := members.Delete(t.Context(), name.Member("ana")); err != nil {
		t.Fatal(err)
	}
	if ended := c.expect("unsubscribed"); ended["code"] != 4031.0 {
		t.Errorf("ended with %v, want 4031", ended)
	}
	if answer := c.ask(`"op":"subscribe","channel":"room:1"`); answer["code"] != 4030.0 {
		t.Errorf("subscribed again: %v", answer)
	}
}

// Who has as many sessions as allowed continues one whose connection is dead.
func TestResumeAtTheLimit(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Limits: session.Limits{Sessions: 2}})
	first, second := dial(t, b, "ana"), dial(t, b, "ana")
	secret, _ := second.welcome["session"].(string)
	for range 3 {
		second = dial(t, b, "ana", secret)
	}
	second.must(`"op":"subscribe","channel":"app:x"`)
	first.must(`"op":"subscribe","channel":"app:x"`)
	wait(t, "the replaced to leave", func() bool { return b.node.SessionCount() == 2 })
	conn, _, err := websocket.Dial(t.Context(), "ws://"+b.Addr()+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	third := &client{t: t, conn: conn}
	third.send(fmt.Sprintf(`{"op":"hello","token":%q}`, token(t, b, "ana", "")))
	if code := third.closed(); code != int(schemas.TooManySessions) {
		t.Errorf("a third session: closed with %d", code)
	}
}

// What ends a membership while the bridge does not hear of it is found out.
func TestMembershipRevokedUnheard(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	cable := lay(t, bus.URL())
	b, _ := runBridgeAt(t, cable.url, Config{})
	js := jetStream(t, bus)
	members, err := js.KeyValue(t.Context(), subjects.BucketMembers)
	if err != nil {
		t.Fatal(err)
	}
	name := subjects.Channel{Kind: "room", ID: "1"}
	for _, user := range []string{"ana", "luis", "eva"} {
		if _, err := members.Put(t.Context(), name.Member(user), []byte(`{"role":"member"}`)); err != nil {
			t.Fatal(err)
		}
	}
	c, stays, gone := dial(t, b, "ana"), dial(t, b, "luis"), dial(t, b, "eva")
	for _, c := range []*client{c, stays, gone} {
		c.must(`"op":"subscribe","channel":"room:1"`)
	}
	cable.set(true)
	c.expect("degraded")
	if err := members.Delete(t.Context(), name.Member("ana")); err != nil {
		t.Fatal(err)
	}
	cable.set(false)
	if ended := c.expect("unsubscribed"); ended["code"] != 4031.0 {
		t.Errorf("ended with %v, want 4031", ended)
	}
	// Not even a trace is left of this one.
	gone.expect("degraded")
	gone.expect("restored")
	cable.set(true)
	gone.expect("degraded")
	revoked := nats.NewMsg(keysOfMembers + name.Member("eva"))
	revoked.Data = []byte(`{"role":""}`)
	if _, err := js.PublishMsg(t.Context(), revoked, jetstream.WithMsgTTL(time.Second)); err != nil {
		t.Fatal(err)
	}
	wait(t, "the revocation to be forgotten", func() bool {
		_, err := members.Get(t.Context(), name.Member("eva"))
		return errors.Is(err, jetstream.ErrKeyNotFound)
	})
	b.node.Hub.DoubtMembers() // as if cut for long
	cable.set(false)
	gone.expect("unsubscribed")
	stays.nothing("unsubscribed")
}

// Whoever is present on a channel without following it leaves it with their
// membership, too.
func TestMembershipRevokedOfWhoIsOnlyPresent(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	members, err := jetStream(t, bus).KeyValue(t.Context(), subjects.BucketMembers)
	if err != nil {
		t.Fatal(err)
	}
	name := subjects.Channel{Kind: "room", ID: "1"}
	for _, user := range []string{"ana", "luis"} {
		if _, err := members.Put(t.Context(), name.Member(user), []byte(`{"role":"member"}`)); err != nil {
			t.Fatal(err)
		}
	}
	luis := dial(t, b, "luis")
	luis.must(`"op":"subscribe","channel":"room:1","presence":true`)
	dial(t, b, "ana").must(`"op":"track","channel":"room:1"`)
	luis.find("ana to be there", func(m message) bool { return m["op"] == "presence" && m["joins"] != nil })
	if err := members.Delete(t.Context(), name.Member("ana")); err != nil {
		t.Fatal(err)
	}
	luis.find("ana to be gone", func(m message) bool { return m["op"] == "presence" && m["leaves"] != nil })
}

// A repeated publish is answered as the first time; one key is one event.
func TestDurableAppChannel(t *testing.T) {
	t.Parallel()
	kind := subjects.Catalog["app"]
	kind.Durability, kind.Stream = subjects.Durable, subjects.StreamApp
	kinds := []subjects.Kind{kind}
	bus := bustest.StartWith(t, topology.Config{Kinds: kinds})
	b, _ := runBridge(t, bus, Config{Kinds: kinds})
	c, other := dial(t, b, "ana"), dial(t, b, "luis")
	c.must(`"op":"subscribe","channel":"app:x"`)
	first := c.must(`"op":"publish","channel":"app:x","event":"noted","key":"k","data":{"n":1}`)
	if again := c.must(`"op":"publish","channel":"app:x","event":"noted","key":"k","data":{"n":1}`); again.seq() != first.seq() {
		t.Errorf("repeated: %v, first %v", again, first)
	}
	if answer := c.ask(`"op":"publish","channel":"app:x","event":"noted","key":"k","data":{"n":2}`); answer["code"] != 4093.0 {
		t.Errorf("the key for another event: %v", answer)
	}
	second := other.must(`"op":"publish","channel":"app:x","event":"noted","key":"k","data":{"n":3}`)
	equal(t, "events", c.events("app:x", 2), []uint64{first.seq(), second.seq()})
}

func TestAnswersWhoeverAsksWhetherItIsThere(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	dial(t, b, "ana").must(`"op":"probe"`)
}

func TestTokenIsReplacedInPlace(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"token","token":%q`, token(t, b, "ana", "operator"))
	c.must(`"op":"subscribe","channel":"ops:broadcast"`)
	if answer := c.ask(`"op":"token","token":%q`, token(t, b, "eva", "")); answer["code"] != 4030.0 {
		t.Errorf("a token of somebody else: %v", answer)
	}
	c.must(`"op":"token","token":%q`, token(t, b, "ana", ""))
	if ended := c.expect("unsubscribed"); ended["channel"] != "ops:broadcast" {
		t.Errorf("ended: %v", ended)
	}
}

// The bus goes away and comes back: sessions stay, are told, and are whole.
func TestBusAway(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q,"presence":true`, room)
	c.must(`"op":"track","channel":%q`, room)
	c.find("a join", func(m message) bool { return len(refs(m, "joins")) == 1 })
	published := publish(t, bus, 3, 1)
	bus.Kill(0)
	c.expect("degraded")
	bus.Restart(t, 0)
	published = append(published, publish(t, bus, 3, 1)...)
	c.expect("restored")
	equal(t, "events", c.events(room, 6), published)
	for _, m := range c.queue {
		if m.op() == "presence" && len(refs(m, "leaves")) > 0 {
			t.Errorf("a flicker: %v", m)
		}
	}
}
