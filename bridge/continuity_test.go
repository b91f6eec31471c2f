package bridge

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/api"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

func jetStream(t *testing.T, bus *bustest.Bus) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(bus.Connect(t), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func purge(t *testing.T, bus *bustest.Bus, options ...jetstream.StreamPurgeOpt) {
	t.Helper()
	stream, err := jetStream(t, bus).Stream(t.Context(), subjects.StreamUser)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), options...); err != nil {
		t.Fatal(err)
	}
}

// place is a position as a client sends it back: that of its last event.
func place(epoch string, event message) string {
	return fmt.Sprintf(`{"epoch":%q,"seq":%d,"at":%q}`, epoch, event.seq(), event["at"])
}

func eventsOf(c *client, n int) []message {
	c.t.Helper()
	events := make([]message, n)
	for i := range events {
		events[i] = c.find(fmt.Sprintf("event %d", i), func(m message) bool { return m.op() == "event" && m["channel"] == room })
	}
	return events
}

// nothing fails if the session was told one more notice of a kind.
func (c *client) nothing(op string) {
	c.t.Helper()
	c.ask(`"op":"nothing"`) // what was told is told before the answer
	for _, m := range c.queue {
		if m.op() == op {
			c.t.Errorf("one more %s: %v", op, m)
		}
	}
}

func TestAllThatWasMissedIsGone(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	published := publish(t, bus, 10, 10)
	watching, _ := runBridge(t, bus, Config{})
	c := dial(t, watching, "ana")
	epoch, _ := position(c.must(`"op":"subscribe","channel":%q,"last":6`, room))
	seen := eventsOf(c, 6)
	purge(t, bus)
	fresh, _ := runBridge(t, bus, Config{})
	for name, b := range map[string]*Bridge{"a bridge that watched": watching, "one that did not": fresh} {
		t.Run(name, func(t *testing.T) {
			again := dial(t, b, "ana")
			answer := again.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, published[2])
			gap := again.expect("gap")
			if gap["from"] != float64(published[3]) || gap["to"] != float64(published[9]) || answer["replaying"] != 0. {
				t.Errorf("gap %v after %v, want %d to %d", gap, answer, published[3], published[9])
			}
			whole := dial(t, b, "ana")
			whole.must(`"op":"subscribe","channel":%q,"since":%s`, room, place(epoch, seen[5]))
			whole.nothing("gap")
		})
	}
	var page api.HistoryPage
	get(t, fresh, "ana", "/api/channels/user:ana/events?since="+fmt.Sprint(published[2]), &page)
	if page.Gap == nil || *page.Gap != (api.EventRange{From: published[3], To: published[9]}) || page.Position.Sequence != published[9] {
		t.Errorf("over HTTP: %+v, gap %+v", page, page.Gap)
	}
}

// What is removed while the bridge cannot hear it leaves a gap for who listens.
func TestGoneBeforeItWasHeard(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q`, room)
	publish(t, bus, 5, 10)
	eventsOf(c, 5)
	var lost, kept []uint64
	deaf(t, b, func() {
		lost = publish(t, bus, 5, 10)
		purge(t, bus)
		kept = publish(t, bus, 2, 10)
	})
	b.node.Hub.CheckAll()
	gap := c.expect("gap")
	if gap["from"] != float64(lost[0]) || gap["to"] != float64(lost[4]) {
		t.Errorf("gap %v, want %d to %d", gap, lost[0], lost[4])
	}
	equal(t, "kept", c.events(room, 2), kept)
	c.nothing("gap")
}

// rolledBack runs forward, then gives the server the store it had before, then
// runs what follows.
func rolledBack(t *testing.T, bus *bustest.Bus, forward, after func()) {
	t.Helper()
	bus.Kill(0)
	saved := bus.Save(t, 0)
	bus.Restart(t, 0)
	forward()
	bus.Kill(0)
	bus.Restore(t, 0, saved)
	bus.Restart(t, 0)
	after()
}

func TestStreamLosesItsTailWhileWatched(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"shorter": 2, "as long": 5, "longer": 9} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			b, _ := runBridge(t, bus, Config{})
			c, other := dial(t, b, "ana"), dial(t, b, "ana")
			epoch, _ := position(c.must(`"op":"subscribe","channel":%q`, room))
			other.must(`"op":"subscribe","channel":%q`, room)
			kept := publish(t, bus, 10, 10)
			eventsOf(c, 10)
			eventsOf(other, 10)
			var phantoms []message
			var stored []uint64
			rolledBack(t, bus, func() {
				publish(t, bus, 5, 10)
				phantoms = eventsOf(c, 5)
				eventsOf(other, 5)
			}, func() { stored = publish(t, bus, n, 10) })
			for _, c := range []*client{c, other} {
				gap := c.expect("gap")
				if another, _ := position(gap); another == epoch || gap["from"] != float64(phantoms[0].seq()) || gap["to"] != float64(phantoms[4].seq()) {
					t.Errorf("%v, want %d to %d and another epoch than %s", gap, phantoms[0].seq(), phantoms[4].seq(), epoch)
				}
				equal(t, "of the new past", c.events(room, 10+n), append(kept[:10:10], stored...))
				c.nothing("gap")
			}
			newcomer := dial(t, b, "ana")
			newcomer.must(`"op":"subscribe","channel":%q,"last":%d`, room, n)
			equal(t, "for a newcomer", newcomer.events(room, n), stored)
			again := dial(t, b, "ana")
			again.must(`"op":"subscribe","channel":%q,"since":%s`, room, place(epoch, phantoms[1]))
			again.expect("gap")
			equal(t, "for who saw phantoms", again.events(room, 10+n), append(kept[:10:10], stored...))
		})
	}
}

// The bridge was restarted together with the stream, which has grown past the reader.
func TestStreamLosesItsTailUnwatched(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, stop := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	epoch, _ := position(c.must(`"op":"subscribe","channel":%q`, room))
	kept := publish(t, bus, 10, 10)
	shared := eventsOf(c, 10)
	var phantoms []message
	var stored []uint64
	rolledBack(t, bus, func() {
		publish(t, bus, 5, 10)
		phantoms = eventsOf(c, 5)
		stop()
	}, func() { stored = publish(t, bus, 9, 10) })
	b, _ = runBridge(t, bus, Config{})
	again := dial(t, b, "ana")
	again.must(`"op":"subscribe","channel":%q,"since":%s`, room, place(epoch, phantoms[2]))
	again.expect("gap")
	equal(t, "for who saw phantoms", again.events(room, 19), append(kept[:10:10], stored...))
	whole := dial(t, b, "ana")
	whole.must(`"op":"subscribe","channel":%q,"since":%s`, room, place(epoch, shared[9]))
	equal(t, "for who did not", whole.events(room, 9), stored)
	whole.nothing("gap")
	var page api.HistoryPage
	get(t, b, "ana", fmt.Sprintf("/api/channels/user:ana/events?since=%d&at=%s", phantoms[2].seq(), phantoms[2]["at"]), &page)
	if page.Gap == nil || len(page.Events) != 19 {
		t.Errorf("over HTTP: %+v", page)
	}
}

func TestStreamMadeAnewWhileWatched(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	old := publish(t, bus, 10, 10)
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q,"last":10`, room)
	equal(t, "before", c.events(room, 10), old)
	js := jetStream(t, bus)
	if err := js.DeleteStream(t.Context(), subjects.StreamUser); err != nil {
		t.Fatal(err)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	renewed := publish(t, bus, 15, 10)
	b.node.Hub.CheckAll()
	c.expect("gap")
	equal(t, "anew", c.events(room, 15), renewed)
	b.node.Hub.CheckAll()
	c.nothing("gap")
}

// Of what the other stream has removed already the gap tells, too.
func TestStreamPutBackHasLostItsBeginning(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	lost := publish(t, bus, 6, 10)
	purge(t, bus)
	bus.Kill(0)
	saved := bus.Save(t, 0)
	bus.Restart(t, 0)
	js := jetStream(t, bus)
	if err := js.DeleteStream(t.Context(), subjects.StreamUser); err != nil {
		t.Fatal(err)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q`, room)
	publish(t, bus, 2, 10)
	eventsOf(c, 2)
	bus.Kill(0)
	bus.Restore(t, 0, saved)
	bus.Restart(t, 0)
	if gap := c.expect("gap"); gap["from"] != 1. || gap["to"] != float64(lost[5]) {
		t.Errorf("gap %v, want 1 to %d: what it had is gone, too", gap, lost[5])
	}
	stored := publish(t, bus, 2, 10)
	equal(t, "stored then", c.events(room, 2), stored)
	c.nothing("gap")
}

func TestQuestionsNobodyReadsAreRefused(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	for query, status := range map[string]int{"before=7": http.StatusBadRequest, "since=x": http.StatusUnprocessableEntity, "since=1&at=noon": http.StatusUnprocessableEntity} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.Addr()+"/api/channels/user:ana/events?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token(t, b, "ana", ""))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _ = response.Body.Close(); response.StatusCode != status {
			t.Errorf("%s: %s", query, response.Status)
		}
	}
}
