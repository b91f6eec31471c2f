package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// Reader is who reads what an outlet is given, as the hub knows them. Its methods
// may be called from any goroutine, without a lock held.
type Reader interface {
	// Recheck ends the reader's subscription to a channel that they have no more
	// right to. An error says nothing about the right, and that it is to be asked
	// again.
	Recheck(ctx context.Context, channel subjects.Channel) error
}

// Outlet is what one connection is told: frames of its own, and what lies before
// its cursors. Anyone may put something in; one flusher takes it out and writes it,
// when the socket takes it.
type Outlet struct {
	hub    *Hub
	reader Reader
	socket *netpoll.Socket
	view   View // of what is told to many

	speaking sync.Mutex  // one at a time uses codec
	codec    wire.Codec  // of what is told to this reader alone, and asked by it
	marker   wire.Marker // the codec, if it marks where the reader stands; nil otherwise

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
	cursors map[string]*Cursor

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

// Open gives the outlet its parts; most is how many bytes of its own may wait.
func (o *Outlet) Open(h *Hub, r Reader, socket *netpoll.Socket, v View, codec wire.Codec, most int) {
	o.hub, o.reader, o.socket, o.view, o.codec, o.most = h, r, socket, v, codec, most
	o.marker, _ = codec.(wire.Marker)
	o.flusher = h.flushers[h.next.Add(1)%uint64(len(h.flushers))]
	o.told.Store(int64(netpoll.Uptime()))
}

// Bound changes how many bytes of its own may wait.
func (o *Outlet) Bound(most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.most = most
}

// Send queues a frame, and says no when more waits than may: the reader does not
// read.
func (o *Outlet) Send(frame []byte) bool {
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
		o.Flush()
	}
	return !over
}

// Flush has the flusher look at what is before the outlet.
func (o *Outlet) Flush() { o.flusher.outlet(o) }

// Finish queues the last frames, unless others were already.
func (o *Outlet) Finish(frames ...[]byte) bool {
	o.mu.Lock()
	if o.ending || o.closed {
		o.mu.Unlock()
		return false
	}
	o.ending = true
	o.own = append(o.own, frames...)
	o.mu.Unlock()
	o.speaks.Store(true)
	o.Flush()
	o.socket.Wake()
	return true
}

// Close takes nothing more, and returns the cursors, which are the caller's to let
// go of. It says no when it was closed before.
func (o *Outlet) Close() (cursors map[string]*Cursor, first bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil, false
	}
	o.closed = true
	cursors, o.cursors = o.cursors, nil
	return cursors, true
}

// Fail ends a connection whose socket cannot be written.
func (o *Outlet) Fail() {
	o.socket.Close()
	o.socket.Wake() // to clean up
}

// Ending says whether a goodbye was queued.
func (o *Outlet) Ending() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ending
}

// Over says that nothing more will be told.
func (o *Outlet) Over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ending || o.closed
}

// Stalled says whether the rest of a write waits for the socket.
func (o *Outlet) Stalled() bool { return o.stalled.Load() }

// Hurry has the connection end as soon as its goodbye is written.
func (o *Outlet) Hurry() { o.hurries.Store(true) }

// Hurrying says whether it does.
func (o *Outlet) Hurrying() bool { return o.hurries.Load() }

// LastTold is when bytes last went, by uptime.
func (o *Outlet) LastTold() time.Duration { return time.Duration(o.told.Load()) }

// Progressed notes that a stalled socket has taken something.
func (o *Outlet) Progressed(now time.Duration) { o.progress.Store(int64(now)) }

// LastProgress is when a stalled socket last took something, by uptime.
func (o *Outlet) LastProgress() time.Duration { return time.Duration(o.progress.Load()) }

// Encode is a notice of the reader's own, in complete frames.
func (o *Outlet) Encode(notice wire.Notice) []byte {
	o.speaking.Lock()
	defer o.speaking.Unlock()
	return o.view.encodeBy(o.codec, notice)
}

// Decode reads a message of the reader's.
func (o *Outlet) Decode(message []byte, binary bool) (wire.Request, error) {
	o.speaking.Lock()
	defer o.speaking.Unlock()
	return o.codec.Decode(message, binary)
}

// Framing is what stands around what the outlet is told.
func (o *Outlet) Framing() Framing { return o.view.Framing() }

// mark is what stands before a notice behind which the reader stands at a position of
// a channel, or is a message alone. It is nothing where readers remember that
// themselves.
func (o *Outlet) mark(channel string, p wire.Position, alone bool) []byte {
	if o.marker == nil {
		return nil
	}
	o.speaking.Lock()
	defer o.speaking.Unlock()
	return o.marker.Mark(channel, p, alone)
}

// CloseFrame is the frame that ends the connection for a refusal, nil where the end
// itself says so.
func (o *Outlet) CloseFrame(code int, reason string) []byte {
	if o.Framing() == Bare {
		return nil
	}
	o.speaking.Lock()
	code, reason = o.codec.Close(code, reason)
	o.speaking.Unlock()
	return websocket.AppendClose(nil, code, reason)
}

// Load is how many bytes were written or wait to be.
func (o *Outlet) Load() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sent.Load() + int64(o.ownSize)
}

// Follows is the outlet's cursor on a channel, or nil.
func (o *Outlet) Follows(channel string) *Cursor {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.cursors[channel]
}

// Count is how many channels the outlet follows.
func (o *Outlet) Count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.cursors)
}

// Following lists the outlet's cursors.
func (o *Outlet) Following() []*Cursor {
	o.mu.Lock()
	defer o.mu.Unlock()
	cursors := make([]*Cursor, 0, len(o.cursors))
	for _, c := range o.cursors {
		cursors = append(cursors, c)
	}
	return cursors
}

// Keep keeps a cursor, which replaces one on the same channel, if there are no more
// than most. ok is false when there are, or the outlet is closed.
func (o *Outlet) Keep(c *Cursor, most int) (replaced *Cursor, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	replaced = o.cursors[c.channel.label]
	if o.closed || replaced == nil && len(o.cursors) >= most {
		return nil, false
	}
	if o.cursors == nil {
		o.cursors = make(map[string]*Cursor)
	}
	o.cursors[c.channel.label] = c // not the request's own string, which keeps its whole frame alive
	return replaced, true
}

// Drop takes out the cursors of which out says so.
func (o *Outlet) Drop(out func(channel string, c *Cursor) bool) (dropped []*Cursor) {
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
func (o *Outlet) takeOwn() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, frame := range o.own {
		o.out.add(frame)
	}
	o.own, o.ownSize = nil, 0
	o.over = o.ending
}

// gather moves every cursor forward. Of the flusher.
func (o *Outlet) gather() {
	for _, c := range o.Following() {
		c.channel.mu.Lock()
		c.channel.degraded = o.hub.Degraded.Load()
		c.gather(o.out)
		c.channel.unlock()
	}
}

// stall leaves the rest of a write to a goroutine that waits for the socket.
// Meanwhile nothing is gathered: the cursors stay where they are. Of the flusher.
func (o *Outlet) stall(rest []byte) {
	o.stalled.Store(true)
	o.progress.Store(int64(netpoll.Uptime()))
	o.hub.metrics.stalls.Inc()
	o.hub.Start(func(context.Context) {
		err := o.socket.WriteAll(rest, func() { o.progress.Store(int64(netpoll.Uptime())) })
		if err != nil {
			o.Fail()
			return
		}
		o.told.Store(int64(netpoll.Uptime()))
		o.stalled.Store(false)
		o.Flush()
	})
}
