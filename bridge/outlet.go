package bridge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// reader is who reads what an outlet is given, as the hub knows them. Its methods
// may be called from any goroutine, without a lock held.
type reader interface {
	// User is the reader's id.
	User() string
	// Recheck ends the reader's subscription to a channel that they have no more
	// right to. An error says nothing about the right, and that it is to be asked
	// again.
	Recheck(ctx context.Context, channel subjects.Channel) error
}

// outlet is what one connection is told: frames of its own, and what lies before
// its cursors. Anyone may put something in; one flusher takes it out and writes it,
// when the socket takes it.
type outlet struct {
	hub     *hub
	reader  reader
	socket  *netpoll.Socket
	dialect dialect
	flusher *flusher

	told     atomic.Int64 // when bytes last went, by uptime
	sent     atomic.Int64 // bytes written
	progress atomic.Int64 // when a stalled socket last took something, by uptime

	mu      sync.Mutex
	own     [][]byte // frames of its own that wait for the flusher
	ownSize int
	most    int  // bytes that may wait
	ending  bool // a goodbye was queued: nothing follows
	closed  bool // the connection is gone
	cursors map[string]*cursor

	speaks  atomic.Bool // has frames of its own
	queued  atomic.Bool // its flusher knows
	stalled atomic.Bool // the rest of a write waits for the socket
	hurries atomic.Bool // ends as soon as its goodbye is written

	// Of the flusher only.
	out    *output // lent during a pass that touches the outlet
	more   bool    // had to be left out of this pass
	over   bool    // its goodbye was taken: nothing follows
	parted bool    // its goodbye was written, and the peer's is waited for
}

// open gives the outlet its parts; most is how many bytes of its own may wait.
func (o *outlet) open(h *hub, r reader, socket *netpoll.Socket, d dialect, most int) {
	o.hub, o.reader, o.socket, o.dialect, o.most = h, r, socket, d, most
	o.flusher = h.flushers[h.next.Add(1)%uint64(len(h.flushers))]
	o.told.Store(int64(netpoll.Uptime()))
}

// bound changes how many bytes of its own may wait.
func (o *outlet) bound(most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.most = most
}

// send queues a frame, and says no when more waits than may: the reader does not
// read.
func (o *outlet) send(frame []byte) bool {
	if len(frame) == 0 {
		return true
	}
	o.mu.Lock()
	if o.ending || o.closed {
		o.mu.Unlock()
		return true
	}
	o.own = append(o.own, frame)
	o.ownSize += len(frame)
	over := o.ownSize > o.most
	o.mu.Unlock()
	o.speaks.Store(true)
	if !over {
		o.flush()
	}
	return !over
}

// flush has the flusher look at what is before the outlet.
func (o *outlet) flush() { o.flusher.outlet(o) }

// finish queues the last frames, unless others were already.
func (o *outlet) finish(frames ...[]byte) bool {
	o.mu.Lock()
	if o.ending || o.closed {
		o.mu.Unlock()
		return false
	}
	o.ending = true
	o.own = append(o.own, frames...)
	o.mu.Unlock()
	o.speaks.Store(true)
	o.flush()
	o.socket.Wake()
	return true
}

// close takes nothing more, and returns the cursors, which are the caller's to let
// go of. It says no when it was closed before.
func (o *outlet) close() (cursors map[string]*cursor, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, false
	}
	o.closed = true
	cursors, o.cursors = o.cursors, nil
	return cursors, true
}

// fail ends a connection whose socket cannot be written.
func (o *outlet) fail() {
	o.socket.Close()
	o.socket.Wake() // to clean up
}

// isEnding says whether a goodbye was queued.
func (o *outlet) isEnding() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ending
}

// isOver says that nothing more will be told.
func (o *outlet) isOver() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ending || o.closed
}

// isStalled says whether the rest of a write waits for the socket.
func (o *outlet) isStalled() bool { return o.stalled.Load() }

// hurry has the connection end as soon as its goodbye is written.
func (o *outlet) hurry() { o.hurries.Store(true) }

// isHurrying says whether it does.
func (o *outlet) isHurrying() bool { return o.hurries.Load() }

// lastTold is when bytes last went, by uptime.
func (o *outlet) lastTold() time.Duration { return time.Duration(o.told.Load()) }

// progressed notes that a stalled socket has taken something, and lastProgress is
// when that was, by uptime.
func (o *outlet) progressed(now time.Duration) { o.progress.Store(int64(now)) }
func (o *outlet) lastProgress() time.Duration  { return time.Duration(o.progress.Load()) }

// encode is a notice as the outlet's reader takes it.
func (o *outlet) encode(notice wire.Notice) []byte { return o.dialect.encode(notice) }

// decode reads a frame of the outlet's reader.
func (o *outlet) decode(frame []byte) (wire.Request, error) { return dialects[o.dialect].Decode(frame) }

// load is how many bytes were written or wait to be.
func (o *outlet) load() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent.Load() + int64(o.ownSize)
}

// follows is the outlet's cursor on a channel, or nil.
func (o *outlet) follows(channel string) *cursor {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cursors[channel]
}

// count is how many channels the outlet follows.
func (o *outlet) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.cursors)
}

// following lists the outlet's cursors.
func (o *outlet) following() []*cursor {
	o.mu.Lock()
	defer o.mu.Unlock()
	cursors := make([]*cursor, 0, len(o.cursors))
	for _, c := range o.cursors {
		cursors = append(cursors, c)
	}
	return cursors
}

// place keeps a cursor, which replaces one on the same channel, if there are no more
// than most. ok is false when there are, or the outlet is closed.
func (o *outlet) place(c *cursor, most int) (replaced *cursor, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	replaced = o.cursors[c.channel.label]
	if o.closed || replaced == nil && len(o.cursors) >= most {
		return nil, false
	}
	if o.cursors == nil {
		o.cursors = make(map[string]*cursor)
	}
	o.cursors[c.channel.label] = c // not the request's own string, which keeps its whole frame alive
	return replaced, true
}

// drop takes out the cursors of which out says so.
func (o *outlet) drop(out func(channel string, c *cursor) bool) (dropped []*cursor) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for channel, c := range o.cursors {
		if out(channel, c) {
			dropped = append(dropped, c)
			delete(o.cursors, channel)
		}
	}
	return dropped
}

// takeOwn moves the outlet's own frames to its output. Of the flusher.
func (o *outlet) takeOwn() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, frame := range o.own {
		o.out.add(frame)
	}
	o.own, o.ownSize = nil, 0
	o.over = o.ending
}

// gather moves every cursor forward. Of the flusher.
func (o *outlet) gather() {
	for _, c := range o.following() {
		c.channel.mu.Lock()
		c.gather(o.out)
		c.channel.mu.Unlock()
	}
}

// stall leaves the rest of a write to a goroutine that waits for the socket.
// Meanwhile nothing is gathered: the cursors stay where they are. Of the flusher.
func (o *outlet) stall(rest []byte) {
	o.stalled.Store(true)
	o.progress.Store(int64(netpoll.Uptime()))
	o.hub.metrics.stalls.Inc()
	o.hub.start(func(context.Context) {
		err := o.socket.WriteAll(rest, func() { o.progress.Store(int64(netpoll.Uptime())) })
		if err != nil {
			o.fail()
			return
		}
		o.told.Store(int64(netpoll.Uptime()))
		o.stalled.Store(false)
		o.flush()
	})
}
