package netpoll

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"
)

// echo serves a socket by writing back what comes.
type echo struct {
	socket Socket
	ended  chan struct{}
}

func (e *echo) Serve() {
	for {
		err := e.socket.Read(func(data []byte) error {
			n, err := e.socket.TryWrite(data)
			if err != nil || n == len(data) {
				return err
			}
			return e.socket.WriteAll(data[n:], func() {})
		})
		switch {
		case err == nil:
		case !errors.Is(err, ErrNothing):
			e.socket.Forget()
			e.socket.Close()
			close(e.ended)
			return
		case e.socket.Park():
			return
		}
	}
}

// serving runs a poller and a pool for the time of a test.
func serving(t *testing.T) (*Poller, *Pool) {
	t.Helper()
	poller, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := poller.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); tasks.Wait() })
	return poller, NewPool(func(worker func(context.Context)) { tasks.Go(func() { worker(ctx) }) })
}

// pair is the two ends of a TCP connection.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if far, err = new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if near, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return near, far
}

// Many sockets at once, each with more than one read takes, in turns of being idle,
// served by few workers; each ends when its peer does.
func TestServesManySockets(t *testing.T) {
	t.Parallel()
	poller, pool := serving(t)
	for name, plain := range map[string]bool{"polled": false, "the plain way": true} {
		var peers sync.WaitGroup
		for range 50 {
			near, far := pair(t)
			if plain {
				near = struct{ net.Conn }{near} // as TLS in process
			}
			e := &echo{ended: make(chan struct{})}
			e.socket.Open(near, []byte("early"), poller, pool, e)
			e.socket.Start()
			peers.Go(func() {
				sent := make([]byte, 5*ReadSize+1)
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(far, got[:5]); err != nil || string(got[:5]) != "early" {
					t.Errorf("%s: %q, %v", name, got[:5], err)
				}
				for turn := range 20 {
					for i := range sent {
						sent[i] = byte(i + turn)
					}
					if _, err := far.Write(sent); err != nil {
						t.Error(err)
					}
					if _, err := io.ReadFull(far, got); err != nil || string(got) != string(sent) {
						t.Errorf("%s: turn %d came back otherwise: %v", name, turn, err)
					}
				}
				_ = far.Close()
				<-e.ended
			})
		}
		peers.Wait()
	}
}

// goroutines are the stacks of all.
func goroutines(t *testing.T) []byte {
	t.Helper()
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	return stacks.Bytes()
}

// An idle socket holds no goroutine.
func TestAnIdleSocketHoldsNoGoroutine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("each socket is waited for by itself here")
	}
	t.Parallel()
	poller, pool := serving(t)
	near, far := pair(t)
	e := &echo{ended: make(chan struct{})}
	e.socket.Open(near, nil, poller, pool, e)
	e.socket.Start()
	for range 3 {
		if _, err := far.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		for !e.socket.Parked() {
			runtime.Gosched()
		}
		// Who has just parked it may still be on the way out.
		stacks := goroutines(t)
		for late := time.Now().Add(time.Minute); bytes.Contains(stacks, fmt.Appendf(nil, "(*echo).Serve(%p", e)); stacks = goroutines(t) {
			if time.Now().After(late) {
				t.Fatalf("somebody serves an idle socket:\n%s", stacks)
			}
			runtime.Gosched()
		}
	}
}

// Whoever is woken while it is served looks again.
func TestNoWakingIsLost(t *testing.T) {
	t.Parallel()
	s := &Socket{}
	s.state.Store(served)
	s.Wake()
	if s.Park() {
		t.Error("it was parked although it was woken meanwhile")
	}
	if !s.Park() || !s.Parked() {
		t.Error("it was not parked although nothing came")
	}
}
