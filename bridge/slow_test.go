package bridge

import (
	"testing"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

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
