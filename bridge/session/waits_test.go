package session

import (
	"testing"
	"time"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
)

func TestWaits(t *testing.T) {
	t.Parallel()
	key := func(room string) string {
		return subjects.PresenceKey("one", subjects.Channel{Kind: "app", ID: room}.Seat("ana", "r1"))
	}
	began := time.Unix(0, 0)
	var w waits
	ended := func(after time.Duration) map[string]uint64 {
		found := map[string]uint64{}
		for _, one := range w.take(func(at time.Time) bool { return !at.After(began.Add(after)) }) {
			found[one.key] = one.revision
		}
		return found
	}
	w.add(wait{key: key("a"), revision: 1}, began.Add(time.Second))
	w.add(wait{key: key("b"), revision: 2}, began.Add(2*time.Second))
	w.add(wait{key: "nobody's", revision: 3}, began)
	if got := ended(time.Second); len(got) != 1 || got[key("a")] != 1 {
		t.Errorf("after a second: %v", got)
	}
	w.add(wait{key: key("b"), revision: 5}, began.Add(4*time.Second)) // it came back, and was lost again
	w.add(wait{key: key("b"), revision: 4}, began)                    // told late
	w.prolong("r2")
	w.prolong("r1")
	w.prolong("r1")
	if got := ended(4 * time.Second); len(got) != 0 {
		t.Errorf("one whose session is back, and shall say where it sits: %v", got)
	}
	if got := ended(4*time.Second + seat.Leeway/2); len(got) != 1 || got[key("b")] != 5 {
		t.Errorf("at last: %v", got)
	}
	if len(w.byRef) != 0 {
		t.Errorf("kept: %v", w.byRef)
	}
}
