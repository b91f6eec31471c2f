package bridge

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/api"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// ofRoom lets a purge remove what is the room's.
var ofRoom = jetstream.WithPurgeSubject("evt." + strings.Replace(room, ":", ".", 1))

func (b *Bridge) settle(t *testing.T) {
	t.Helper()
	if err := b.node.Hub.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// What is removed from the stream is handed to nobody once the stream was looked at:
// not from the ring, and not from pages. Whoever was promised it is told a gap, as over
// HTTP.
func TestWhatIsErasedIsForgotten(t *testing.T) {
	t.Parallel()
	for name, keep := range map[string]int{"all of it": 0, "but the newest": 2} {
		for where, count := range map[string]int{"from the ring": 6, "from pages": 2000} {
			t.Run(where+" "+name, func(t *testing.T) {
				t.Parallel()
				bus := bustest.Start(t)
				b, _ := runBridge(t, bus, Config{})
				stays := dial(t, b, "ana")
				stays.must(`"op":"subscribe","channel":%q`, room)
				published := publish(t, bus, count, 10)
				equal(t, "live", stays.events(room, count), published)
				epoch, _ := position(stays.must(`"op":"subscribe","channel":%q,"since":{"seq":%d},"anew":true`, room, published[0]))
				equal(t, "again", stays.events(room, count-1), published[1:])
				others(t, bus, 1)
				kept := published[count-keep:]
				if keep > 0 {
					purge(t, bus, ofRoom, jetstream.WithPurgeKeep(uint64(keep)))
				} else {
					purge(t, bus, ofRoom)
				}
				b.settle(t)

				var page api.HistoryPage
				since := fmt.Sprintf("since=%d&epoch=%s", published[1], epoch)
				get(t, b, "ana", "/api/channels/user:ana/events?"+since, &page)
				returns, fresh, whole := dial(t, b, "ana"), dial(t, b, "ana"), dial(t, b, "ana")
				returns.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, published[1])
				fresh.must(`"op":"subscribe","channel":%q,"last":10`, room)
				whole.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, published[count-1])
				gap := returns.expect("gap")
				if page.Gap == nil || gap["from"] != float64(page.Gap.From) || gap["to"] != float64(page.Gap.To) || len(page.Events) != keep {
					t.Errorf("%v, over HTTP %v and %d events", gap, page.Gap, len(page.Events))
				}
				after := publish(t, bus, 2, 10)
				equal(t, "who returns", returns.events(room, keep+2), append(kept[:keep:keep], after...))
				equal(t, "who comes", fresh.events(room, keep+2), append(kept[:keep:keep], after...))
				fresh.nothing("gap")
				equal(t, "who stays", stays.events(room, 2), after)
				equal(t, "who has all", whole.events(room, 2), after)
			})
		}
	}
}

// So is a single message that is deleted by hand: in the ring a gap takes its place.
func TestWhatIsDeletedByHandIsForgotten(t *testing.T) {
	t.Parallel()
	for where, count := range map[string]int{"from the ring": 6, "from pages": 2000} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			b, _ := runBridge(t, bus, Config{})
			stays := dial(t, b, "ana")
			stays.must(`"op":"subscribe","channel":%q`, room)
			published := publish(t, bus, count, 10)
			equal(t, "live", stays.events(room, count), published)
			again := dial(t, b, "ana")
			epoch, _ := position(again.must(`"op":"subscribe","channel":%q,"since":{"seq":%d}`, room, published[0]))
			equal(t, "before", again.events(room, count-1), published[1:])
			stream, err := jetStream(t, bus).Stream(t.Context(), subjects.StreamUser)
			if err != nil {
				t.Fatal(err)
			}
			gone := published[3]
			if err := stream.DeleteMsg(t.Context(), gone); err != nil {
				t.Fatal(err)
			}
			b.settle(t)
			b.settle(t)

			left := slices.Concat(published[1:3], published[4:])
			returns := dial(t, b, "ana")
			returns.must(`"op":"subscribe","channel":%q,"since":{"epoch":%q,"seq":%d}`, room, epoch, published[0])
			equal(t, "who returns", returns.events(room, len(left)), left)
			if where == "from the ring" {
				if gap := returns.expect("gap"); gap["from"] != float64(gone) || gap["to"] != float64(gone) {
					t.Errorf("%v, want %d", gap, gone)
				}
			}
			after := publish(t, bus, 2, 10)
			for name, c := range map[string]*client{"who returns": returns, "who stays": stays} {
				equal(t, name, c.events(room, 2), after)
				c.nothing("gap")
			}
		})
	}
}

// Nobody is asked what is left of a stream that has lost nothing.
func TestNothingIsAskedOfAWholeStream(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":%q`, room)
	c.events(room, len(publish(t, bus, 5, 10)))
	var asked atomic.Int64
	nc := bus.Connect(t)
	if _, err := nc.Subscribe("$JS.API.STREAM.MSG.GET."+subjects.StreamUser, func(msg *nats.Msg) {
		if strings.Contains(string(msg.Data), "next_by_subj") {
			asked.Add(1)
		}
	}); err != nil {
		t.Fatal(err)
	}
	ask := func(want int64) {
		t.Helper()
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		b.settle(t)
		b.settle(t)
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		wait(t, "the questions to be heard", func() bool { return asked.Load() >= want })
		if got := asked.Load(); got != want {
			t.Errorf("asked %d times, want %d", got, want)
		}
	}
	ask(0)
	purge(t, bus, ofRoom, jetstream.WithPurgeKeep(1))
	ask(1)
}
