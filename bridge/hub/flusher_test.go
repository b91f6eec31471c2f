package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// line is an outlet at one end of a connection, and its reader at the other.
type line struct {
	*Outlet
	cursor *Cursor
	far    net.Conn
	ended  chan struct{}
	name   string
	came   []byte // and is no whole frame yet
	next   int    // event to come
	own    int    // frame of its own to come
}

// Serve reads the outlet's socket until its end.
func (l *line) Serve() {
	for {
		err := l.socket.Read(func([]byte) error { return nil })
		switch {
		case err == nil:
		case !errors.Is(err, netpoll.ErrNothing):
			l.socket.Forget()
			l.socket.Close()
			close(l.ended)
			return
		case l.socket.Park():
			return
		}
	}
}

// connect is a line over TCP with little room in it, or, plain, one that takes nothing
// at once.
func connect(t *testing.T, h *Hub, ch *Channel, name string, takesNothing bool, poller *netpoll.Poller, pool *netpoll.Pool) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	far, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = far.Close(), near.Close() })
	if err := near.(*net.TCPConn).SetWriteBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	if takesNothing {
		near = struct{ net.Conn }{near}
	}
	l := &line{Outlet: new(Outlet), far: far, ended: make(chan struct{}), name: name}
	socket := new(netpoll.Socket)
	socket.Open(near, nil, poller, pool, l)
	l.Open(h, &reader{user: "ana"}, socket, plain, nil, 1<<20)
	socket.Start()
	l.cursor = NewCursor(l.Outlet, ch, Lasting, false)
	if _, err := l.cursor.Seek(t.Context(), wire.Subscribe{Ref: "1"}); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.Keep(l.cursor, 1); !ok {
		t.Fatal("the cursor is not kept")
	}
	ch.Attach(l.cursor)
	return l
}

// read takes what comes until so many events, or frames of its own, have. Each kind
// must come in order.
func (l *line) read(t *testing.T, random *rand.Rand, events, own int) {
	buffer := make([]byte, 16<<10)
	for l.next < events || l.own < own {
		n, err := l.far.Read(buffer[:1+random.IntN(len(buffer))])
		if err != nil {
			t.Errorf("%s: after %d events and %d of its own: %v", l.name, l.next, l.own, err)
			return
		}
		l.came = append(l.came, buffer[:n]...)
		whole := wholeFrames(l.came)
		for _, got := range notices(t, l.came[:whole]) {
			switch {
			case got.Op == "event" && got.Key == fmt.Sprint(l.next):
				l.next++
			case got.Op == "own" && got.Key == fmt.Sprint(l.own):
				l.own++
			default:
				t.Errorf("%s: got %s %q, after %d events and %d of its own", l.name, got.Op, got.Key, l.next, l.own)
				return
			}
		}
		l.came = append(l.came[:0], l.came[whole:]...)
	}
}

// wholeFrames is how many bytes there are of whole frames.
func wholeFrames(came []byte) (whole int) {
	for rest := came; len(rest) >= 2; rest = came[whole:] {
		size, header := int(rest[1]), 2
		if size == 126 && len(rest) >= 4 {
			size, header = int(rest[2])<<8|int(rest[3]), 4
		}
		if size == 126 && header == 2 || len(rest) < header+size {
			return whole
		}
		whole += header + size
	}
	return whole
}

// own is a frame that is not of a channel.
func own(n int) []byte {
	payload := fmt.Appendf(nil, `{"op":"own","key":"%d"}`, n)
	return append([]byte{0x81, byte(len(payload))}, payload...)
}

// Whatever the sockets take at a time, each reader is told everything once and in
// order; who does not read holds nobody up; and nothing follows a goodbye.
func TestFlusherKeepsTheOrder(t *testing.T) {
	t.Parallel()
	eachSeed(t, 3, func(t *testing.T, random *rand.Rand) {
		const events, frames = 600, 60
		poller, err := netpoll.NewPoller()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		h := alone(2)
		h.Bind(ctx)
		defer h.tasks.Wait()
		defer stop()
		h.Start(func(ctx context.Context) {
			if err := poller.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		for _, f := range h.flushers {
			h.Start(f.run)
		}
		ch := h.newChannel(subjects.Channel{Kind: "log", ID: "1"})
		ch.healing = false
		pool := netpoll.NewPool(h.Start)
		var lines []*line
		for i := range 8 {
			lines = append(lines, connect(t, h, ch, fmt.Sprint("reader ", i), i%3 == 2, poller, pool))
		}
		var tasks sync.WaitGroup
		say := func(from, to int) {
			for i := from; i < to; i++ {
				e := eventEntry(wire.Event{
					Channel: ch.label, Event: "said", Key: fmt.Sprint(i), Sequence: uint64(i + 1),
					Data: fmt.Appendf(nil, `"%s"`, bytes.Repeat([]byte("x"), 1+i*7919%5000)),
				})
				e.size = 1 // so that all stay in the ring
				ch.ingest(e, uint64(i))
				if i%(events/frames) == 0 {
					for _, l := range lines {
						l.Send(own(i * frames / events))
					}
				}
			}
		}
		tasks.Go(func() { say(0, events) })
		for _, l := range lines[1:] { // the first one reads nothing meanwhile
			draws := rand.New(rand.NewPCG(random.Uint64(), 0))
			tasks.Go(func() { l.read(t, draws, events, frames) })
		}
		tasks.Wait()
		if !lines[0].Stalled() {
			t.Error("who does not read is not known to be")
		}
		lines[0].read(t, random, events, frames)
		for i, l := range lines {
			if i%2 == 0 && i%3 != 2 { // who takes nothing at once takes no goodbye in a hurry
				l.Hurry()
			}
			l.Finish(own(frames))
		}
		say(events, events+10)
		for _, l := range lines {
			l.read(t, random, events, frames+1)
			_ = l.far.(*net.TCPConn).CloseWrite() // the answer to the goodbye
			if rest, err := io.ReadAll(l.far); err != nil || len(l.came)+len(rest) > 0 {
				t.Errorf("%s: %d bytes follow the goodbye, %v", l.name, len(l.came)+len(rest), err)
			}
			<-l.ended
		}
	})
}
