package bridge

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/api"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// others stores facts of another channel in the stream of the room, and returns
// when the last was stored.
func others(t *testing.T, bus *bustest.Bus, n int) (last wire.Position) {
	t.Helper()
	js := jetStream(t, bus)
	for range n {
		msg := nats.NewMsg(subjects.Channel{Kind: "user", ID: "eva"}.Event())
		subjects.SetText(msg.Header, subjects.HeaderEvent, "noted")
		msg.Data = []byte("1")
		ack, err := js.PublishMsg(t.Context(), msg)
		if err != nil {
			t.Fatal(err)
		}
		last.Sequence = ack.Sequence
	}
	stream, err := js.Stream(t.Context(), subjects.StreamUser)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := stream.GetMsg(t.Context(), last.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	last.At = stored.Time
	return last
}

// placeTold is the position in a notice.
func placeTold(t *testing.T, m message) (p wire.Position) {
	t.Helper()
	raw, err := json.Marshal(m["position"])
	if err == nil {
		err = json.Unmarshal(raw, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func stands(t *testing.T, what string, got, want wire.Position) {
	t.Helper()
	if got.Epoch == "" || got.Sequence != want.Sequence || !got.At.Equal(want.At) {
		t.Errorf("%s: position %+v, want %+v", what, got, want)
	}
}

func since(p wire.Position) string {
	return fmt.Sprintf(`{"epoch":%q,"seq":%d,"at":%q}`, p.Epoch, p.Sequence, p.At.Format(time.RFC3339Nano))
}

// The place behind what is gone is another channel's message, whose time proves it.
func TestPositionsBehindGaps(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	epoch, _ := position(dial(t, b, "eva").must(`"op":"subscribe","channel":"user:eva"`))
	lost := publish(t, bus, 3, 10)
	between := others(t, bus, 1)
	publish(t, bus, 2, 10)
	purge(t, bus, jetstream.WithPurgeSubject(subjects.Channel{Kind: "user", ID: "ana"}.Event()), jetstream.WithPurgeSequence(between.Sequence+1))
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, lost[0])
	gap := c.expect("gap")
	stands(t, "a gap", placeTold(t, gap), between)
	again := dial(t, b, "ana")
	again.must(`"op":"subscribe","channel":%q,"since":%s`, room, since(placeTold(t, gap)))
	again.events(room, 2)
	again.nothing("gap")
	last := others(t, bus, 1)
	purge(t, bus)
	var page api.HistoryPage
	for _, query := range []string{"", "?since=0", fmt.Sprintf("?since=%d&epoch=%s", lost[0], epoch)} {
		get(t, b, "ana", "/api/channels/user:ana/events"+query, &page)
		stands(t, "over HTTP"+query, page.Position, last)
	}
	fresh, _ := runBridge(t, bus, Config{})
	stands(t, "of an empty channel", placeTold(t, dial(t, fresh, "ana").must(`"op":"subscribe","channel":%q`, room)), last)
}

// Who stands behind a gap is found out when the stream loses its tail and grows
// beyond again, by facts of other channels.
func TestStreamLosesItsTailBehindAGap(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, stop := runBridge(t, bus, Config{})
	epoch, _ := position(dial(t, b, "ana").must(`"op":"subscribe","channel":%q`, room))
	kept := publish(t, bus, 3, 10)
	var place, page wire.Position
	var stored []uint64
	rolledBack(t, bus, func() {
		publish(t, bus, 5, 10)
		purge(t, bus)
		wait(t, "the bridge to forget what was purged", func() bool { return b.node.Hub.Settle(t.Context()) == nil })
		c := dial(t, b, "ana")
		c.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, kept[2])
		place = placeTold(t, c.expect("gap"))
		var past api.HistoryPage
		get(t, b, "ana", fmt.Sprintf("/api/channels/user:ana/events?since=%d&epoch=%s", kept[2], epoch), &past)
		page = past.Position
		stop()
	}, func() {
		stored = publish(t, bus, 2, 10)
		others(t, bus, 6)
	})
	b, _ = runBridge(t, bus, Config{})
	for what, p := range map[string]wire.Position{"of the socket": place, "over HTTP": page} {
		t.Run(what, func(t *testing.T) {
			c := dial(t, b, "ana")
			c.must(`"op":"subscribe","channel":%q,"since":%s`, room, since(p))
			c.expect("gap")
			equal(t, "of the new past", c.events(room, 5), append(kept[:3:3], stored...))
		})
	}
}

// That nothing was there is proven when the first fact comes: one that was not heard and
// is gone leaves a gap, and what only others have lost does not.
func TestNothingWasThere(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]int{"nothing lost": 0, "one lost": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			b, _ := runBridge(t, bus, Config{})
			hole := others(t, bus, 2)
			stream, err := jetStream(t, bus).Stream(t.Context(), subjects.StreamUser)
			if err == nil {
				err = stream.DeleteMsg(t.Context(), hole.Sequence-1)
			}
			if err != nil {
				t.Fatal(err)
			}
			others(t, bus, 1)
			c := dial(t, b, "ana")
			c.must(`"op":"subscribe","channel":%q`, room)
			var gone []uint64
			deaf(t, b, func() {
				others(t, bus, 1)
				gone = publish(t, bus, lost, 10)
				others(t, bus, 1)
				purge(t, bus, ofRoom)
			})
			kept := publish(t, bus, 2, 10)
			for _, missed := range gone {
				told := c.find("what is gone, or a gap", func(m message) bool { return m.op() == "gap" || m.op() == "event" })
				if told.op() == "event" && told.seq() == missed {
					continue // a look at the stream came before the purge
				}
				if told.op() != "gap" || told["from"].(float64) > float64(missed) || told["to"].(float64) < float64(missed) {
					t.Errorf("%v, want a gap over %d", told, missed)
				}
			}
			equal(t, "kept", c.events(room, 2), kept)
			c.nothing("gap")
		})
	}
}

// What a subscription is told to stand at when it is asked for again is a message
// of the stream with its own time.
func TestPositionOfSubscribingAgain(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	first := dial(t, b, "ana")
	first.must(`"op":"subscribe","channel":%q`, room)
	publish(t, bus, 1, 10)
	event := eventsOf(first, 1)[0]
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(event["at"]))
	if err != nil {
		t.Fatal(err)
	}
	settle := func() {
		if err := b.node.Hub.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	end := others(t, bus, 1)
	settle()
	c := dial(t, b, "ana")
	stands(t, "at first", placeTold(t, c.must(`"op":"subscribe","channel":%q`, room)), end)
	others(t, bus, 1)
	settle()
	stands(t, "again", placeTold(t, c.must(`"op":"subscribe","channel":%q`, room)), wire.Position{Sequence: event.seq(), At: at})
}

// A number without an epoch is judged by what it proves: by every door alike.
func TestSinceWithoutAnEpoch(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	published := publish(t, bus, 6, 10)
	purge(t, bus, jetstream.WithPurgeSequence(published[3]))
	for _, r := range []struct {
		since uint64
		gap   *api.EventRange
		first uint64
	}{
		{0, nil, published[3]},
		{published[0], &api.EventRange{From: published[1], To: published[2]}, published[3]},
		{published[2], nil, published[3]},
		{published[4], nil, published[5]},
		{published[5] + 1, &api.EventRange{From: published[5] + 2, To: published[5] + 2}, published[3]},
	} {
		var page api.HistoryPage
		get(t, b, "ana", fmt.Sprintf("/api/channels/user:ana/events?since=%d", r.since), &page)
		if fmt.Sprint(page.Gap) != fmt.Sprint(r.gap) || len(page.Events) == 0 || page.Events[0].Sequence != r.first {
			t.Errorf("since %d over HTTP: gap %v, %+v, want %v and from %d on", r.since, page.Gap, page.Events, r.gap, r.first)
		}
		c := dial(t, b, "ana")
		c.must(`"op":"subscribe","channel":%q,"since":{"seq":%d}`, room, r.since)
		if r.gap != nil {
			if gap := c.expect("gap"); gap["from"] != float64(r.gap.From) || gap["to"] != float64(r.gap.To) {
				t.Errorf("since %d: %v, want %v", r.since, gap, r.gap)
			}
		}
		equal(t, fmt.Sprintf("since %d", r.since), c.events(room, 1), []uint64{r.first})
		c.nothing("gap")
	}
	js := jetStream(t, bus)
	if err := js.DeleteStream(t.Context(), subjects.StreamUser); err != nil {
		t.Fatal(err)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	publish(t, bus, 2, 10)
	var page api.HistoryPage
	get(t, b, "ana", fmt.Sprintf("/api/channels/user:ana/events?since=%d", published[4]), &page)
	if page.Gap == nil || len(page.Events) != 2 {
		t.Errorf("of a stream that is shorter: %+v", page)
	}
}
