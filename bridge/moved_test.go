package bridge

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Two connections of a session, to two nodes: the older one ends when the newer one
// appears, and what is still written for it changes nothing, nor does its grace.
func TestASessionGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Grace: time.Hour}})
	two, _ := runBridge(t, bus, Config{Node: "two", Limits: session.Limits{Grace: time.Hour}})
	watcher := dial(t, one, "luis")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	watcher.expect("presence")
	first := dial(t, one, "ana")
	first.must(`"op":"track","channel":%q,"meta":1`, lobby)
	watcher.change("joins", first.ref())
	dead := seatOf(t, bus, "one", first.ref())

	began := one.leases.Now()
	wait(t, "a later moment", func() bool { return two.leases.Now().Sub(began) > time.Millisecond })
	second := dial(t, two, "ana", first.secret())
	if code := first.closed(); code != int(schemas.Replaced) {
		t.Errorf("the older connection was closed with %d", code)
	}
	second.must(`"op":"track","channel":%q,"meta":2`, lobby)
	watcher.change("updates", first.ref())
	waits := []byte(strings.Replace(string(dead.Data), `"node":"one"`, `"node":"one","grace":3600`, 1))
	for _, late := range [][]byte{dead.Data, waits} {
		record(t, bus, &nats.Msg{Subject: dead.Subject, Data: late, Header: nats.Header{generation: dead.Header[generation]}})
		second.must(`"op":"track","channel":%q,"meta":2`, lobby)
	}
	_ = second.conn.CloseNow()
	third := dial(t, one, "ana", first.secret())
	third.must(`"op":"track","channel":%q,"meta":3`, lobby)
	watcher.change("updates", first.ref())
	if err := third.conn.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	watcher.change("leaves", first.ref())
}

// Who is not present anywhere moves like all others: what the older connection still
// brings must not take the seat back.
func TestASessionGoesOnElsewhereUnseen(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	first := dial(t, one, "ana")
	other := dial(t, one, "ana")
	began := one.leases.Now()
	wait(t, "a later moment", func() bool { return two.leases.Now().Sub(began) > time.Millisecond })
	second := dial(t, two, "ana", first.secret())
	if code := first.closed(); code != int(schemas.Replaced) {
		t.Errorf("the older connection was closed with %d", code)
	}
	second.must(`"op":"track","channel":%q`, lobby)
	other.must(`"op":"track","channel":%q`, lobby)
	second.must(`"op":"untrack","channel":%q`, lobby)
	// What is said of a connection as old as this one, or older, is not of a newer one.
	nc := bus.Connect(t)
	if err := nc.Publish(subjects.SessionMoved, fmt.Appendf(nil, `{"ref":%q,"generation":1}`, second.ref())); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	second.must(`"op":"track","channel":%q`, lobby)
}

// The older connection ends although nobody heard that the session has moved, because
// the bus was away: for both nodes, or for either.
func TestASessionMovesWhileTheBusIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string][2]bool{"both": {true, true}, "the older": {true, false}, "the newer": {false, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			var nodes [2]*Bridge
			var cables [2]*cable
			for i, node := range []string{"one", "two"} {
				cables[i] = lay(t, bus.URL())
				nodes[i], _ = runBridgeAt(t, cables[i].url, Config{Node: node})
			}
			first := dial(t, nodes[0], "ana")
			set := func(cut bool) {
				for i, c := range cables {
					if away[i] {
						c.set(cut)
						wait(t, "news of the bus", func() bool { return nodes[i].node.Hub.Degraded.Load() == cut })
					}
				}
			}
			set(true)
			second := dial(t, nodes[1], "ana", first.secret(), first.told())
			set(false)
			if code := first.closed(); code != int(schemas.Replaced) {
				t.Errorf("the older connection was closed with %d", code)
			}
			second.must(`"op":"track","channel":%q`, lobby)
		})
	}
}

// Who acts last has the seat, though the clocks of the nodes have it otherwise.
func TestASessionGoesOnWhateverTheClocks(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	first := dial(t, one, "ana")
	first.must(`"op":"track","channel":%q`, lobby)
	ahead := seatOf(t, bus, "one", first.ref())
	number, err := strconv.ParseUint(ahead.Header.Get(generation), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	late := nats.Header{}
	late.Set(generation, strconv.FormatUint(number+1_000_000, 10))
	record(t, bus, &nats.Msg{Subject: ahead.Subject, Data: ahead.Data, Header: late})
	second := dial(t, two, "ana", first.secret())
	second.must(`"op":"track","channel":%q`, lobby)
	if code := first.closed(); code != int(schemas.Replaced) {
		t.Errorf("the older connection was closed with %d", code)
	}
	second.must(`"op":"untrack","channel":%q`, lobby)
}

// The seats of the older connection wait for the newer one, which takes them one by
// one: nobody sees the session leave those that it has not come to yet.
func TestASessionTakesItsSeatsOneByOne(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one", Limits: session.Limits{Grace: time.Hour}})
	two, _ := runBridge(t, bus, Config{Node: "two", Limits: session.Limits{Grace: time.Hour}})
	const second = "app:second"
	watcher := dial(t, one, "luis")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, second)
	watcher.expect("presence")
	old := dial(t, one, "ana")
	old.must(`"op":"track","channel":%q,"meta":1`, lobby)
	old.must(`"op":"track","channel":%q,"meta":1`, second)
	watcher.change("joins", old.ref())

	written := seatIn(t, bus, second, "one", old.ref()).Sequence
	// That the session moved was not heard: the bus was away. The seat says it.
	seat := seatOf(t, bus, "one", old.ref())
	number, err := strconv.ParseUint(seat.Header.Get(generation), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	newer := nats.Header{}
	newer.Set(generation, strconv.FormatUint(number+1000, 10))
	record(t, bus, &nats.Msg{
		Subject: strings.Replace(seat.Subject, ".one.", ".two.", 1),
		Data:    []byte(strings.Replace(string(seat.Data), `"node":"one"`, `"node":"two"`, 1)), Header: newer,
	})
	if code := old.closed(); code != int(schemas.Replaced) {
		t.Errorf("the older connection was closed with %d", code)
	}
	wait(t, "what became of the seat", func() bool { return seatIn(t, bus, second, "one", old.ref()).Sequence > written })
	if left := len(seatIn(t, bus, second, "one", old.ref()).Data) == 0; left {
		t.Error("the seat was left, and does not wait")
	}
	again := dial(t, two, "ana", old.secret())
	again.must(`"op":"track","channel":%q,"meta":2`, second)
	watcher.change("updates", old.ref())
}
