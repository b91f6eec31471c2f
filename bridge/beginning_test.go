package bridge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Who subscribes again to what it follows loses nothing and gets nothing twice.
func TestSubscribeAgain(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]string{
		"for who is there": `"presence":true`, "for new events": `"presence":false`,
		"since what was read": `"since":{"epoch":%q,"seq":%d}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			b, _ := runBridge(t, bus, Config{})
			c := dial(t, b, "ana")
			first := c.must(`"op":"subscribe","channel":%q`, room)
			epoch, _ := position(first)
			var published []uint64
			for range 20 {
				published = append(published, publish(t, bus, 40, 10)...)
				request := again
				if strings.Contains(again, "%") {
					last := uint64(0)
					for _, m := range c.queue {
						last = max(last, m.seq())
					}
					request = fmt.Sprintf(again, epoch, max(last, published[0]-1))
				}
				answer := c.must(`"op":"subscribe","channel":%q,%s`, room, request)
				if _, at := position(answer); at > published[len(published)-1] {
					t.Errorf("%v is beyond %d", answer, published[len(published)-1])
				}
			}
			equal(t, "told", c.events(room, len(published)), published)
			c.ask(`"op":"nothing"`)
			for _, m := range c.queue {
				if m.op() == "event" {
					t.Errorf("one more: %v", m)
				}
			}
		})
	}
}

// A client whose parts share one subscription asks for one of them what it was
// given before; nothing that comes meanwhile is lost by it.
func TestSubscribeAnew(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	epoch, _ := position(c.must(`"op":"subscribe","channel":%q`, room))
	all := publish(t, bus, 20, 10)
	equal(t, "at first", c.events(room, 20), all)
	c.must(`"op":"subscribe","channel":%q,"last":5`, room)
	c.ask(`"op":"nothing"`)
	c.nothing("event")
	c.must(`"op":"subscribe","channel":%q,"last":5,"anew":true`, room)
	equal(t, "the last five", c.events(room, 5), all[15:])
	c.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d},"anew":true`, room, epoch, all[9])
	equal(t, "the last ten", c.events(room, 10), all[10:])
	more := publish(t, bus, 20, 10)
	c.must(`"op":"subscribe","channel":%q,"last":1,"anew":true`, room)
	told := make(map[uint64]bool)
	for len(told) < len(more) { // some twice, perhaps
		told[c.events(room, 1)[0]] = true
	}
	for _, sequence := range more {
		if !told[sequence] {
			t.Errorf("%d was not told", sequence)
		}
	}
}

// Without its streams a node is not ready, and says so; nothing that needs them is
// called our fault.
func TestStreamsAreGone(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	ready := func() int {
		t.Helper()
		response, err := http.Get("http://" + b.Addr() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	c := dial(t, b, "ana")
	js := jetStream(t, bus)
	if err := js.DeleteStream(t.Context(), subjects.StreamUser); err != nil {
		t.Fatal(err)
	}
	wait(t, "red readiness", func() bool { return ready() == http.StatusServiceUnavailable })
	if answer := c.ask(`"op":"subscribe","channel":%q`, room); answer["reason"] != "unavailable" {
		t.Errorf("subscribed: %v", answer)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	wait(t, "green readiness", func() bool { return ready() == http.StatusOK })
	c.must(`"op":"subscribe","channel":%q`, room)
}

// Who wants the last events was promised nothing before the first of them: that it is
// gone is no gap. What goes behind that first one is.
func TestTheLastEventsHaveNoBeginning(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	publish(t, bus, 20, 10)
	purge(t, bus)
	starts := []string{`"last":10`, `"last":"1h"`}
	readers := make([]*client, len(starts))
	for i, start := range starts {
		readers[i] = dial(t, b, "ana")
		readers[i].must(`"op":"subscribe","channel":%q,%s`, room, start)
	}
	published := publish(t, bus, 2, 10)
	for i, c := range append(readers, dial(t, b, "ana"), dial(t, b, "ana")) {
		if i >= len(starts) {
			c.must(`"op":"subscribe","channel":%q,%s`, room, starts[i-len(starts)])
		}
		equal(t, starts[i%len(starts)], c.events(room, 2), published)
		c.nothing("gap")
	}
}

// A browser that is slow from the start on loses what is removed before it has read it,
// whether the first event was there before it or came later.
func TestTheLastEventsMayHaveAGap(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]int{"from the stream": 500, "from the ring": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			b, _ := runBridge(t, bus, Config{})
			c := dial(t, b, "ana")
			var published []uint64
			come := func() { c.must(`"op":"subscribe","channel":%q,"last":1000`, room) }
			if first == 0 {
				come()
			}
			published = publish(t, bus, 1500, 16<<10) // far more than sockets hold
			if first > 0 {
				come()
			}
			heard(t, b, published[1499])
			told := c.events(room, 1)
			purge(t, bus, jetstream.WithPurgeSequence(published[1499]))
			b.settle(t)
			gap := c.expect("gap")
			from, _ := gap["from"].(float64)
			before := slices.Index(published, uint64(from))
			if before <= first || gap["to"] != float64(published[1498]) {
				t.Fatalf("%v, want one from what follows %d to %d", gap, published[first], published[1498])
			}
			equal(t, "before the gap", append(told, c.events(room, before-first-1)...), published[first:before])
			equal(t, "what is kept", c.events(room, 1), published[1499:])
		})
	}
}
