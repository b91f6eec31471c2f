package hub

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/subjects"
)

// server serves a socket by reading it to its end.
type server struct {
	socket netpoll.Socket
	ended  chan struct{}
}

func (s *server) Serve() {
	for s.socket.Read(func([]byte) error { return nil }) == nil {
	}
	s.socket.Close()
	close(s.ended)
}

// outletOf is an outlet that nobody flushes, to one end of a pipe.
func outletOf(t *testing.T, h *Hub, most int) *Outlet {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	s := &server{ended: make(chan struct{})}
	s.socket.Open(near, nil, nil, nil, s) // served, as far as it knows
	o := new(Outlet)
	o.Open(h, &reader{user: "ana"}, &s.socket, plain, nil, most)
	return o
}

// taken is what a flusher takes from the outlet.
func taken(o *Outlet) string {
	o.out = new(output)
	defer func() { o.out = nil }()
	o.takeOwn()
	return string(bytes.Join(o.out.pieces, []byte(" ")))
}

// What waits is bounded: by what may wait now, until the flusher takes it.
func TestOutletIsBounded(t *testing.T) {
	t.Parallel()
	o := outletOf(t, alone(1), 10)
	if !o.Send([]byte("12345")) || !o.Send([]byte("67890")) || !o.Send(nil) {
		t.Error("what may wait is refused")
	}
	if o.Load() != 10 {
		t.Errorf("%d bytes wait", o.Load())
	}
	if got := taken(o); got != "12345 67890" || o.Load() != 0 {
		t.Errorf("%q are taken, and %d bytes wait", got, o.Load())
	}
	if !o.Send([]byte("1234567890")) || o.Send([]byte("1")) {
		t.Error("more waits than may")
	}
	o.Bound(20)
	if !o.Send([]byte("2")) {
		t.Error("the bound was not changed")
	}
}

// Who speaks is flushed once, however much is said meanwhile.
func TestOutletIsQueuedOnce(t *testing.T) {
	t.Parallel()
	h := alone(1)
	o, other := outletOf(t, h, 100), outletOf(t, h, 100)
	o.Send([]byte("a"))
	o.Send([]byte("b"))
	other.Flush()
	if queued := h.flushers[0].outlets; len(queued) != 2 || queued[0] != o || queued[1] != other {
		t.Errorf("%d are queued", len(queued))
	}
	if !o.speaks.Load() || other.speaks.Load() {
		t.Error("it is not known who speaks")
	}
}

// Nothing follows a goodbye, and nothing is taken by who is gone.
func TestGoodbyeEndsAll(t *testing.T) {
	t.Parallel()
	o := outletOf(t, alone(1), 100)
	o.Send([]byte("before"))
	if o.Over() || o.Ending() {
		t.Error("it is over before it was")
	}
	if !o.Finish([]byte("good"), []byte("bye")) || o.Finish([]byte("again")) {
		t.Error("there is one goodbye")
	}
	if !o.Send([]byte("after")) || !o.Ending() || !o.Over() {
		t.Error("what comes after a goodbye is not the reader's fault")
	}
	if got := taken(o); got != "before good bye" || !o.over {
		t.Errorf("%q are taken, over: %v", got, o.over)
	}

	gone := outletOf(t, alone(1), 3)
	if _, first := gone.Close(); !first {
		t.Error("it was closed before")
	}
	if _, first := gone.Close(); first {
		t.Error("it was closed twice")
	}
	if !gone.Send([]byte("more than may wait")) || gone.Finish([]byte("bye")) || !gone.Over() || gone.Ending() || gone.Load() != 0 {
		t.Error("who is gone is told something")
	}
}

func TestOutletKeepsCursors(t *testing.T) {
	t.Parallel()
	h := alone(1)
	o := outletOf(t, h, 100)
	cursor := func(id string) *Cursor {
		return NewCursor(o, h.newChannel(subjects.Channel{Kind: "log", ID: id}), Lasting, false)
	}
	one, two, again, three := cursor("1"), cursor("2"), cursor("1"), cursor("3")
	for _, keep := range []struct {
		cursor, replaced *Cursor
		ok               bool
	}{{one, nil, true}, {two, nil, true}, {three, nil, false}, {again, one, true}} {
		if replaced, ok := o.Keep(keep.cursor, 2); replaced != keep.replaced || ok != keep.ok {
			t.Errorf("%s: %p, %v", keep.cursor.channel.label, replaced, ok)
		}
	}
	if o.Follows("log:1") != again || o.Follows("log:3") != nil || o.Count() != 2 || len(o.Following()) != 2 {
		t.Errorf("%d are kept", o.Count())
	}
	dropped := o.Drop(func(channel string, _ *Cursor) bool { return strings.HasSuffix(channel, "2") })
	if len(dropped) != 1 || dropped[0] != two || o.Count() != 1 {
		t.Errorf("%d dropped, %d kept", len(dropped), o.Count())
	}
	cursors, _ := o.Close()
	if len(cursors) != 1 || cursors["log:1"] != again || o.Count() != 0 {
		t.Errorf("%v were left", cursors)
	}
	if _, ok := o.Keep(two, 2); ok {
		t.Error("who is gone follows a channel")
	}
}
