package hub

import (
	"fmt"
	"slices"
	"testing"

	"github.com/latido/latido/bridge/wire"
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
	if want := []uint64{3, 4, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("kept %v, want %v", got, want)
	}
}
