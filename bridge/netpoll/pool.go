package netpoll

import (
	"context"
	"runtime"
	"sync/atomic"
)

// Server is what a socket is served by: Serve reads it until it has nothing for now
// and could be parked, or for the last time.
type Server interface{ Serve() }

// Pool serves the sockets that have something to read, on the stacks of a few
// workers: an idle one has none. There are as many workers as there is work; the
// spare ones end.
type Pool struct {
	jobs  chan Server
	idle  atomic.Int32
	spare int32
	start func(worker func(context.Context))
}

// NewPool returns a pool whose workers start runs, and waits for.
func NewPool(start func(worker func(context.Context))) *Pool {
	return &Pool{jobs: make(chan Server), spare: int32(2 * runtime.GOMAXPROCS(0)), start: start}
}

// serve has a worker serve something, and does not wait for it.
func (p *Pool) serve(s Server) {
	select {
	case p.jobs <- s:
	default:
		p.start(func(ctx context.Context) { p.work(ctx, s) })
	}
}

func (p *Pool) work(ctx context.Context, s Server) {
	for {
		s.Serve()
		if p.idle.Add(1) > p.spare {
			p.idle.Add(-1)
			return
		}
		select {
		case s = <-p.jobs:
			p.idle.Add(-1)
		case <-ctx.Done():
			return
		}
	}
}

// A socket is parked while the poller waits for it, and served when there is
// something to read. Who is woken meanwhile looks again before it parks.
const (
	parked = iota
	served
	wokenAgain
)

// Start has the socket waited for, or served at once where that cannot be.
func (s *Socket) Start() {
	s.polled = s.poller.add(s)
	if !s.polled || s.early != nil || !s.Park() {
		s.pool.serve(s.server)
	}
}

// Wake has a parked socket served.
func (s *Socket) Wake() {
	for {
		switch state := s.state.Load(); {
		case state == parked && s.state.CompareAndSwap(parked, served):
			s.pool.serve(s.server)
			return
		case state == wokenAgain, state == served && s.state.CompareAndSwap(served, wokenAgain):
			return
		}
	}
}

// Park says whether the socket may be left to the poller: its server returns then.
func (s *Socket) Park() bool {
	if s.state.CompareAndSwap(served, parked) {
		return true
	}
	s.state.Store(served)
	return false
}

// Parked tells that nobody serves the socket.
func (s *Socket) Parked() bool { return s.state.Load() == parked }

// Stay has reads wait from now on, instead of the poller.
func (s *Socket) Stay() { s.polled = false }
