package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// advance sets a bridge's clock of the bus ahead, as a server does whose clock is:
// by what comes back of a renewal of its lease. It holds for 30 s.
func advance(t *testing.T, bus *bustest.Bus, b *Bridge, by time.Duration) {
	t.Helper()
	stream, err := jetStream(t, bus).Stream(t.Context(), "KV_"+subjects.BucketNodes)
	if err != nil {
		t.Fatal(err)
	}
	own := subjects.Token(b.config.Node)
	renewal, err := stream.GetLastMsgForSubject(t.Context(), "$KV."+subjects.BucketNodes+"."+own)
	if err != nil {
		t.Fatal(err)
	}
	msg := nats.NewMsg(subjects.FeedNodes + own)
	msg.Data = renewal.Data
	msg.Header.Set("Nats-Time-Stamp", time.Now().Add(by).UTC().Format(time.RFC3339Nano))
	if err := bus.Connect(t).PublishMsg(msg); err != nil {
		t.Fatal(err)
	}
	wait(t, "the clock to be ahead", func() bool { return time.Until(b.leases.Now()) > by/2 })
}

// told is what a hello says of the generation that a client was told.
func (c *client) told() string { return fmt.Sprintf(`,"generation":%.0f`, c.welcome["generation"]) }

// movesHeard returns when a bridge has heard all that was said of sessions that move.
func movesHeard(t *testing.T, b *Bridge, nc *nats.Conn) {
	t.Helper()
	last := dial(t, b, "last")
	if err := nc.Publish(subjects.SessionMoved, fmt.Appendf(nil, `{"ref":%q,"generation":9007199254740991}`, last.ref())); err != nil {
		t.Fatal(err)
	}
	if code := last.closed(); code != int(schemas.Replaced) {
		t.Fatalf("the last session was closed with %d", code)
	}
}

// The newer connection of a session stays and the older one ends, to and fro between
// bridges whose clocks differ by more than it takes to come back, and although what
// was said of the older one is heard late: whether the session is seen anywhere or not.
func TestTheNewerConnectionStaysWhateverTheClocks(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	advance(t, bus, one, 30*time.Minute)
	nc := bus.Connect(t)
	for name, test := range map[string]struct {
		device string
		track  bool
	}{"unseen": {}, "tracked": {track: true}, "a device": {device: `,"device":{"kind":"web"}`}} {
		last := dial(t, one, "ana", "", test.device)
		for i, b := range []*Bridge{two, one, two, two, one} {
			if test.track {
				last.must(`"op":"track","channel":%q,"meta":%d`, lobby, i)
			}
			next := dial(t, b, "ana", last.secret(), last.told(), test.device)
			if code := last.closed(); code != int(schemas.Replaced) {
				t.Errorf("%s, %d: the older connection was closed with %d", name, i, code)
			}
			late := fmt.Appendf(nil, `{"ref":%q,"generation":%.0f}`, last.ref(), last.welcome["generation"])
			if err := nc.Publish(subjects.SessionMoved, late); err != nil {
				t.Fatal(err)
			}
			movesHeard(t, b, nc)
			next.must(`"op":"probe"`)
			last = next
		}
		if err := last.conn.Close(1000, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// A generation of far ahead is not believed, and harms its session for a while at
// most, and no other: not even one of the same user, nor another user's of the same
// secret.
func TestAGenerationFarAhead(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Grace: 3 * time.Second}})
	other := dial(t, b, "ana")
	first := dial(t, b, "ana")
	namesake := dial(t, b, "luis", first.secret())
	second := dial(t, b, "ana", first.secret(), `,"generation":9007199254740991`)
	if code := first.closed(); code != int(schemas.Replaced) {
		t.Errorf("the older connection was closed with %d", code)
	}
	ahead := time.Until(time.UnixMilli(int64(second.welcome["generation"].(float64))))
	if ahead > time.Hour+time.Minute || ahead < 0 {
		t.Errorf("the generation is %s ahead", ahead)
	}
	third := dial(t, b, "ana", second.secret(), second.told())
	if code := second.closed(); code != int(schemas.Replaced) {
		t.Errorf("the older connection was closed with %d", code)
	}
	third.must(`"op":"subscribe","channel":"app:x"`)
	third.must(`"op":"publish","channel":"app:x","event":"e","data":{}`)
	third.expect("event") // what was said of it before is on the bus
	movesHeard(t, b, bus.Connect(t))
	fourth := dial(t, b, "ana", third.secret()) // of a client that says none
	if fourth.welcome["generation"].(float64) <= third.welcome["generation"].(float64) {
		t.Errorf("after %v comes %v", third.welcome, fourth.welcome)
	}
	if code := third.closed(); code != int(schemas.Replaced) {
		t.Errorf("the older connection was closed with %d", code)
	}
	for _, c := range []*client{other, namesake, fourth} {
		c.must(`"op":"track","channel":%q`, lobby)
	}
}
