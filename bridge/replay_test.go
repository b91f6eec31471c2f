package bridge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

const room = "user:ana" // a durable channel that only ana reads, so that no service is needed

func publish(t *testing.T, bus *bustest.Bus, n, size int) []uint64 {
	t.Helper()
	js, err := jetstream.New(bus.Connect(t), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	channel, err := subjects.ParseChannel(room)
	if err != nil {
		t.Fatal(err)
	}
	acks := make([]jetstream.PubAckFuture, n)
	for i := range acks {
		msg := nats.NewMsg(channel.Event())
		subjects.SetText(msg.Header, subjects.HeaderEvent, "noted")
		msg.Data = fmt.Appendf(nil, `{"n":%d,"pad":%q}`, i, strings.Repeat("x", size))
		if acks[i], err = js.PublishMsgAsync(msg); err != nil {
			t.Fatal(err)
		}
	}
	sequences := make([]uint64, n)
	for i, ack := range acks {
		select {
		case stored := <-ack.Ok():
			sequences[i] = stored.Sequence
		case err := <-ack.Err():
			t.Fatal(err)
		}
	}
	return sequences
}

// A count and an age together are at most so many of that age.
func TestReplayByCountAndAge(t *testing.T) {
	t.Parallel()
	durable, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{durable}})
	b, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{durable}})
	const channel, text, bytes = "log:past", websocket.MessageText, websocket.MessageBinary
	c := joinLines(t, b, "/lines", "JOIN", channel)
	told := 0
	say := func() {
		t.Helper()
		c.send(text, fmt.Sprintf("SAY %d", told))
		c.expect(fmt.Sprintf(`ana "%d"`, told), bytes)
		told++
	}
	for range 5 {
		say()
	}
	for _, test := range []struct {
		past   string
		events int
	}{{"2 1h", 2}, {"100 1h", 100}, {"0 1h", 100}, {"3 0", 3}, {"3 1ns", 0}, {"1 1h", 1}} {
		c.send(text, "PAST "+channel+" "+test.past)
		c.expect("JOINED "+channel, text)
		for i := range min(test.events, told) {
			c.expect(fmt.Sprintf(`ana "%d"`, max(told-test.events, 0)+i), bytes)
		}
		say() // and nothing else
	}
}

func equal(t *testing.T, what string, got, want []uint64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %d %v, want %d %v", what, len(got), got, len(want), want)
	}
}

func position(m message) (string, uint64) {
	p, _ := m["position"].(map[string]any)
	epoch, _ := p["epoch"].(string)
	seq, _ := p["seq"].(float64)
	return epoch, uint64(seq)
}

func TestReturnMissesNothing(t *testing.T) {
	t.Parallel()
	for name, missed := range map[string]int{"from the ring": 40, "from the stream": 3000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			b, _ := runBridge(t, bus, Config{})
			first := dial(t, b, "ana")
			epoch, at := position(first.must(`"op":"subscribe","channel":%q`, room))
			published := publish(t, bus, 20, 10)
			equal(t, "live", first.events(room, 20), published)
			_ = first.conn.CloseNow()
			if at >= published[0] {
				t.Fatalf("position %d is not before %d", at, published[0])
			}

			published = publish(t, bus, missed, 10)
			other, _ := runBridge(t, bus, Config{})
			for _, node := range []*Bridge{b, other} {
				heard(t, node, published[len(published)-1])
				again := dial(t, node, "ana")
				answer := again.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, published[0]-1)
				if answer["replaying"] != float64(missed) {
					t.Errorf("replaying %v, want %d", answer["replaying"], missed)
				}
				equal(t, "replayed", again.events(room, missed), published)
			}
		})
	}
}

// A page that was read a while ago knows what followed it then; what has come
// since is counted, too.
func TestReplayCountsWhatCameSince(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	published := publish(t, bus, 12, 10)
	missed := 2
	epoch, _ := position(dial(t, b, "eva").must(`"op":"subscribe","channel":"user:eva"`))
	tenth := published[9]
	for _, more := range []int{0, 70, 2000} {
		if more > 0 {
			published = publish(t, bus, more, 10)
			heard(t, b, published[more-1])
		}
		missed += more
		again := dial(t, b, "ana")
		answer := again.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, tenth)
		if answer["replaying"] != float64(missed) {
			t.Errorf("after %d more: replaying %v, want %d", more, answer["replaying"], missed)
		}
		again.events(room, missed)
		_ = again.conn.CloseNow()
	}
}

// heard waits until a node that watches the room, if it does, has a fact of it.
func heard(t *testing.T, b *Bridge, sequence uint64) {
	t.Helper()
	name, err := subjects.ParseChannel(room)
	if err != nil {
		t.Fatal(err)
	}
	wait(t, "the room's newest fact", func() bool {
		ch := b.node.Hub.Lookup(name)
		return ch == nil || ch.Newest() >= sequence
	})
}

// The feed loses messages without a disconnect: the next one reveals the gap.
func TestGapIsHealedBeforeWhatFollows(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q`, room)
	published := publish(t, bus, 5, 10)
	deaf(t, b, func() { published = append(published, publish(t, bus, 300, 10)...) })
	published = append(published, publish(t, bus, 5, 10)...)
	equal(t, "events", c.events(room, len(published)), published)
}

// A lost last message has no successor: only the leader knows of it.
func TestLostLastMessageIsFound(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q`, room)
	published := publish(t, bus, 5, 10)
	deaf(t, b, func() { published = append(published, publish(t, bus, 1, 10)...) })
	b.node.Hub.CheckAll()
	equal(t, "events", c.events(room, len(published)), published)
}

// deaf runs f while the bridge does not hear the feed of the room.
func deaf(t *testing.T, b *Bridge, f func()) {
	t.Helper()
	name, err := subjects.ParseChannel(room)
	if err != nil {
		t.Fatal(err)
	}
	ch := b.node.Hub.Lookup(name)
	if err := b.node.Hub.Unwatch(ch); err != nil {
		t.Fatal(err)
	}
	f()
	if err := b.node.Hub.Watch(ch); err != nil {
		t.Fatal(err)
	}
}

// A browser that does not read falls out of the ring, costs nothing, and catches
// up by pages when it reads again, while another one is not held up.
func TestSlowBrowserCatchesUp(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	slow, fast := dial(t, b, "ana"), dial(t, b, "ana")
	for _, c := range []*client{slow, fast} {
		c.must(`"op":"subscribe","channel":%q`, room)
	}
	// Far more than the sockets' buffers and the ring hold.
	published := publish(t, bus, 1200, 16<<10)
	equal(t, "fast", fast.events(room, len(published)), published)
	equal(t, "slow", slow.events(room, len(published)), published)
}

func TestWhatRetentionAteIsSaid(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	published := publish(t, bus, 30, 10)
	js, err := jetstream.New(bus.Connect(t), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subjects.StreamUser)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(published[20])); err != nil {
		t.Fatal(err)
	}
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	epoch, _ := position(c.must(`"op":"subscribe","channel":%q`, room))
	again := dial(t, b, "ana")
	again.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, published[9])
	gap := again.expect("gap")
	if gap["from"] != float64(published[10]) || gap["to"] != float64(published[19]) {
		t.Errorf("gap %v, want %d to %d", gap, published[10], published[19])
	}
	equal(t, "kept", again.events(room, 10), published[20:])
}

// A stream that was created anew has other facts under the same sequences.
func TestNewEpochIsAGap(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	old := publish(t, bus, 10, 10)
	c := dial(t, b, "ana")
	epoch, _ := position(c.must(`"op":"subscribe","channel":%q`, room))
	js, err := jetstream.New(bus.Connect(t), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), subjects.StreamUser); err != nil {
		t.Fatal(err)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	renewed := publish(t, bus, 3, 10)
	b.node.Hub.CheckAll()
	c.expect("gap") // for who was there
	equal(t, "of the new stream", c.events(room, 3), renewed)
	again := dial(t, b, "ana") // and for who returns
	again.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, old[9])
	again.expect("gap")
	equal(t, "of the new stream", again.events(room, 3), renewed)
}

func TestLast(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	published := publish(t, bus, 700, 10)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q,"last":400`, room)
	equal(t, "the last 400", c.events(room, 400), published[300:])
	c.must(`"op":"unsubscribe","channel":%q`, room)
	c.must(`"op":"subscribe","channel":%q,"last":"1h"`, room)
	equal(t, "of the last hour", c.events(room, 700), published)
}
