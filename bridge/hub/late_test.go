package hub

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// late is a channel whose ring is full, and a reader who has fallen behind.
func late(t *testing.T, kind string) (*world, *reader) {
	t.Helper()
	w := &world{T: t, random: rand.New(rand.NewPCG(1, 1)), hub: alone(1)}
	name := subjects.Channel{Kind: kind, ID: "1"}
	w.ch = w.hub.newChannel(name)
	w.ch.healing = false
	r := &reader{w: w, outlet: new(Outlet)}
	r.outlet.Open(w.hub, r, nil, plain, nil, 1<<20)
	r.cursor = NewCursor(r.outlet, w.ch, Lasting, false)
	if _, err := r.cursor.Seek(t.Context(), wire.Subscribe{Ref: "1"}); err != nil {
		t.Fatal(err)
	}
	return w, r
}

// put puts an event into the ring: a fact, if it has a number.
func (w *world) put(sequence uint64, event, from string, size int) {
	e := eventEntry(wire.Event{Channel: w.ch.label, Event: event, From: from, Sequence: sequence, Data: []byte("1"), At: time.Unix(int64(sequence), 0)})
	e.size = size
	w.ch.broadcast(e)
}

// hears is what the reader is told, as "event from".
func (r *reader) hears() (all []string) {
	out := new(output)
	r.w.ch.mu.Lock()
	defer r.w.ch.mu.Unlock()
	r.cursor.gather(out)
	joined, _ := out.join(nil)
	for _, n := range notices(r.w, joined) {
		all = append(all, fmt.Sprintf("%d %s %s", n.Sequence, n.Event, n.From))
	}
	return all
}

// Who is late is told the newest of each that moved, and of those only that were for
// them: what came before they subscribed makes nothing moot.
func TestTheLateCatchUp(t *testing.T) {
	t.Parallel()
	w, r := late(t, "track")
	w.put(1, "moved", "ana", bulk)
	w.put(2, "moved", "luis", bulk)
	w.put(0, "moved", "luis", bulk) // before the reader came, who wants fact 1 and what follows
	r.cursor.position, r.cursor.sequence, r.cursor.from = 0, 0, w.ch.ring.head()
	w.put(0, "moved", "marta", bulk)
	w.put(0, "spoke", "marta", bulk)
	w.put(0, "moved", "marta", bulk)
	w.put(0, "spoke", "marta", 15*bulk) // the first fact leaves
	w.ch.Attach(r.cursor)
	if w.ch.ring.base != 1 {
		t.Fatalf("the ring begins at %d", w.ch.ring.base)
	}
	first := &fact{Event: wire.Event{Channel: w.ch.label, Event: "moved", From: "ana", Sequence: 1, Data: []byte("1")}}
	w.ch.pages.add(&page{upTo: 1, entries: []*entry{first.entry(w.ch.label)}, known: 7})
	want := []string{"1 moved ana", "2 moved luis", "0 spoke marta", "0 moved marta", "0 spoke marta"}
	if got := r.hears(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Who was told facts by a faster node, and then is late, is told all of the rest that
// is still there.
func TestTheLateWhoWereAhead(t *testing.T) {
	t.Parallel()
	w, r := late(t, "log")
	w.put(1, "fact", "ana", bulk)
	r.cursor.position, r.cursor.sequence, r.cursor.ahead, r.cursor.from = w.ch.ring.head(), 3, true, w.ch.ring.head()
	w.ch.Attach(r.cursor)
	w.put(0, "first", "ana", bulk)
	w.put(0, "second", "ana", bulk)
	w.put(2, "fact", "ana", bulk)
	w.put(3, "fact", "ana", bulk)
	w.put(4, "fact", "ana", 17*bulk) // the first fact and the first event leave
	if w.ch.ring.base != 2 {
		t.Fatalf("the ring begins at %d", w.ch.ring.base)
	}
	if got, want := r.hears(), []string{"0 second ana", "4 fact ana"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What nobody will be told makes nothing moot for who has lost their membership.
func TestTheLateWhoHaveLeft(t *testing.T) {
	t.Parallel()
	w, r := late(t, "track")
	r.cursor.member = Membership{user: "ana"}
	r.cursor.late, r.cursor.behind = true, true
	w.ch.ring.floor, w.ch.ring.last = 3, 3
	w.ch.Attach(r.cursor)
	moved := func(sequence uint64) *entry {
		return eventEntry(wire.Event{Channel: w.ch.label, Event: "moved", From: "luis", Sequence: sequence, Data: []byte("1")})
	}
	left := eventEntry(wire.Event{Channel: w.ch.label, Event: "left", Sequence: 2, Data: []byte(`{"user":"ana"}`)})
	left.ends = ends(w.ch.kind, left.notice.(wire.Event))
	w.ch.pages.add(&page{upTo: 3, entries: []*entry{moved(1), left, moved(3)}, known: 3})
	if got, want := r.hears(), []string{"1 moved luis", "2 left "}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
