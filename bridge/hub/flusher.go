package hub

import (
	"context"
	"runtime"
	"sync"

	"github.com/latido/latido/bridge/netpoll"
)

// flusher is the only writer of its outlets' sockets. It is woken by whoever
// has something new, moves the cursors forward, and writes each outlet once
// with all that came meanwhile. It never waits for a socket: one that is full is
// left to a goroutine of its own until it has taken what was begun.
type flusher struct {
	index int
	wake  chan struct{}

	mu       sync.Mutex
	outlets  []*Outlet
	channels []*Channel

	// Of run only.
	touched []*Outlet
	scratch []byte
	outputs []*output // spare ones
	metrics *hubMetrics
}

func newFlusher(index int, m *hubMetrics) *flusher {
	return &flusher{index: index, wake: make(chan struct{}, 1), metrics: m}
}

// outlet queues an outlet that has something to write.
func (f *flusher) outlet(o *Outlet) {
	if o.queued.Swap(true) {
		return
	}
	f.mu.Lock()
	f.outlets = append(f.outlets, o)
	f.mu.Unlock()
	f.signal()
}

// channel queues a channel whose cursors have something before them.
func (f *flusher) channel(ch *Channel) {
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
	var outlets []*Outlet
	var channels []*Channel
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		f.mu.Lock()
		outlets, f.outlets = f.outlets, outlets[:0]
		channels, f.channels = f.channels, channels[:0]
		f.mu.Unlock()
		f.pass(outlets, channels)
		clear(outlets)
		clear(channels)
	}
}

// writesInARow is after how many writes a flusher lets others run. A message on
// its way from the bus crosses several goroutines, and would wait for the end of
// the pass, or the scheduler'o 10 ms, at each of them.
const writesInARow = 32

func (f *flusher) pass(outlets []*Outlet, channels []*Channel) {
	for _, o := range outlets {
		o.queued.Store(false)
		if f.touch(o) {
			o.gather()
		}
	}
	for _, ch := range channels {
		ch.mu.Lock()
		ch.degraded = ch.hub.Degraded.Load()
		ch.queued[f.index] = false
		for _, c := range ch.cursors[f.index] {
			if !c.done() && f.touch(c.outlet) {
				c.gather(c.outlet.out)
			}
		}
		ch.unlock()
	}
	now := int64(netpoll.Uptime())
	for i, o := range f.touched {
		f.write(o, now)
		f.touched[i] = nil
		if i%writesInARow == writesInARow-1 {
			runtime.Gosched()
		}
	}
	f.touched = f.touched[:0]
}

// touch says whether the outlet can take more in this pass, and takes its own
// frames first, so that the answer to a subscribe precedes the events. Behind a
// goodbye nothing follows.
func (f *flusher) touch(o *Outlet) bool {
	if o.stalled.Load() {
		return false
	}
	if o.out == nil {
		o.out = f.output()
		f.touched = append(f.touched, o)
	}
	if o.out.full() {
		o.more = true
		return false
	}
	if o.speaks.Swap(false) {
		o.takeOwn()
	}
	return !o.over
}

// output takes a spare output or makes one: there are as many as outlets that
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

func (f *flusher) write(o *Outlet, now int64) {
	more := o.more || o.out.full()
	o.more = false
	if len(o.out.pieces) > 0 {
		var joined []byte
		joined, f.scratch = o.out.join(f.scratch)
		f.metrics.writes.Inc()
		f.metrics.bytesOut.Add(float64(len(joined)))
		n, err := o.socket.TryWrite(joined)
		switch {
		case err != nil:
			o.Fail()
		case n < len(joined) && o.over && o.hurries.Load() && !o.socket.Waits():
			o.Fail()
		case n < len(joined):
			o.stall(append([]byte(nil), joined[n:]...))
			if o.over && o.hurries.Load() {
				o.socket.ExpectEnd(false) // the goodbye has that long to be taken
			}
		}
		o.told.Store(now)
		o.sent.Add(int64(len(joined)))
	}
	o.out.reset()
	f.outputs = append(f.outputs, o.out)
	o.out = nil
	if more {
		f.outlet(o)
	}
	if hurries := o.hurries.Load(); o.over && (!o.parted || hurries) && !o.stalled.Load() {
		o.parted = true
		o.socket.ExpectEnd(hurries)
	}
}
