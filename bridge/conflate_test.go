package bridge

import (
	"fmt"
	"testing"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

func TestConflateKeepsTheNewestOfEachSender(t *testing.T) {
	t.Parallel()
	var entries []*entry
	for i, text := range []string{"ana moved", "luis moved", "ana spoke", "ana moved", "ana spoke", "luis moved"} {
		var event wire.Event
		if _, err := fmt.Sscan(text, &event.From, &event.Event); err != nil {
			t.Fatal(err)
		}
		event.Sequence = uint64(i + 1)
		entries = append(entries, eventEntry(event))
	}
	var got []uint64
	for _, e := range conflate([]string{"moved"}, entries) {
		got = append(got, e.sequence)
	}
	equal(t, "kept", got, []uint64{3, 4, 5, 6})
}

// Who cannot keep up with a marker is told where it is now, not where it was.
func TestSlowBrowserIsConflated(t *testing.T) {
	t.Parallel()
	kind := subjects.Catalog["user"]
	kind.Conflate = []string{"noted"}
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{kind}})
	slow := dial(t, b, "ana")
	slow.must(`"op":"subscribe","channel":%q`, room)
	published := publish(t, bus, 1200, 16<<10)
	last, seen := uint64(0), 0
	for last < published[len(published)-1] {
		sequence := slow.events(room, 1)[0]
		if sequence <= last {
			t.Fatalf("%d after %d", sequence, last)
		}
		last, seen = sequence, seen+1
	}
	if seen == len(published) {
		t.Errorf("all %d were told, none conflated", seen)
	}
}
