package bridge

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// flusher is the only writer of its sessions' sockets. It is woken by whoever
// has something new, moves the cursors forward, and writes each session once
// with all that came meanwhile. It never waits for a socket: one that is full is
// left to a goroutine of its own until it has taken what was begun.
type flusher struct {
	index int
	wake  chan struct{}

	mu       sync.Mutex
	sessions []*session
	channels []*channel

	// Of run only.
	touched []*session
	scratch []byte
	outputs []*output // spare ones
	metrics *metrics
}

func newFlusher(index int, m *metrics) *flusher {
	return &flusher{index: index, wake: make(chan struct{}, 1), metrics: m}
}

// session queues a session that has something to write of its own.
func (f *flusher) session(s *session) {
	if s.queued.Swap(true) {
		return
	}
	f.mu.Lock()
	f.sessions = append(f.sessions, s)
	f.mu.Unlock()
	f.signal()
}

// channel queues a channel whose cursors have something before them.
func (f *flusher) channel(ch *channel) {
	f.mu.Lock()
	f.channels = append(f.channels, ch)
	f.mu.Unlock()
	f.signal()
}

func (f *flusher) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *flusher) run(ctx context.Context) {
	var sessions []*session
	var channels []*channel
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		f.mu.Lock()
		sessions, f.sessions = f.sessions, sessions[:0]
		channels, f.channels = f.channels, channels[:0]
		f.mu.Unlock()
		f.pass(sessions, channels)
		clear(sessions)
		clear(channels)
	}
}

// writesInARow is after how many writes a flusher lets others run. A message on
// its way from the bus crosses several goroutines, and would wait for the end of
// the pass, or the scheduler's 10 ms, at each of them.
const writesInARow = 32

func (f *flusher) pass(sessions []*session, channels []*channel) {
	for _, s := range sessions {
		s.queued.Store(false)
		if f.touch(s) {
			s.gatherAll()
		}
	}
	for _, ch := range channels {
		ch.mu.Lock()
		ch.queued[f.index] = false
		for _, c := range ch.cursors[f.index] {
			if !c.done() && f.touch(c.session) {
				c.gather(c.session.out)
			}
		}
		ch.mu.Unlock()
	}
	now := int64(uptime())
	for i, s := range f.touched {
		f.write(s, now)
		f.touched[i] = nil
		if i%writesInARow == writesInARow-1 {
			runtime.Gosched()
		}
	}
	f.touched = f.touched[:0]
}

// touch says whether the session can take more in this pass, and takes its own
// frames first, so that the answer to a subscribe precedes the events. Behind a
// goodbye nothing follows.
func (f *flusher) touch(s *session) bool {
	if s.stalled.Load() {
		return false
	}
	if s.out == nil {
		s.out = f.output()
		f.touched = append(f.touched, s)
	}
	if s.out.full() {
		s.more = true
		return false
	}
	if s.speaks.Swap(false) {
		s.takeOwn()
	}
	return !s.over
}

// output takes a spare output or makes one: there are as many as sessions that
// were touched in one pass.
func (f *flusher) output() *output {
	last := len(f.outputs) - 1
	if last < 0 {
		return new(output)
	}
	out := f.outputs[last]
	f.outputs[last] = nil
	f.outputs = f.outputs[:last]
	return out
}

func (f *flusher) write(s *session, now int64) {
	more := s.more || s.out.full()
	s.more = false
	if len(s.out.pieces) > 0 {
		var joined []byte
		joined, f.scratch = s.out.join(f.scratch)
		f.metrics.writes.Inc()
		f.metrics.bytesOut.Add(float64(len(joined)))
		n, err := s.socket.TryWrite(joined)
		switch {
		case err != nil:
			s.fail()
		case n < len(joined) && s.over && s.hurries.Load():
			s.fail()
		case n < len(joined):
			s.stall(append([]byte(nil), joined[n:]...))
		}
		s.told.Store(now)
		s.sent.Add(int64(len(joined)))
	}
	s.out.reset()
	f.outputs = append(f.outputs, s.out)
	s.out = nil
	if more {
		f.session(s)
	}
	if hurries := s.hurries.Load(); s.over && (!s.parted || hurries) && !s.stalled.Load() {
		s.parted = true
		s.socket.ExpectEnd(hurries)
	}
}

// writing is the part of a session that belongs to its flusher.
type writing struct {
	out     *output     // lent by the flusher during a pass that touches the session
	more    bool        // had to be left out of this pass
	over    bool        // its goodbye was taken: nothing follows
	parted  bool        // its goodbye was written, and the peer's is waited for
	speaks  atomic.Bool // has frames of its own
	queued  atomic.Bool
	stalled atomic.Bool
	hurries atomic.Bool // ends as soon as its goodbye is written
}
