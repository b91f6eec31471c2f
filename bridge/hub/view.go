package hub

import (
	"sync"

	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
)

// View is one way in which readers take what is told to many: a protocol, or one of
// several forms of it. Each compressed form is one of its own, so that a message is
// compressed once for all who take it so.
type View uint8

// Framing is what stands around a view's messages on the connection.
type Framing uint8

const (
	// Plain frames are those of WebSocket, RFC 6455 section 5.
	Plain Framing = iota
	// Deflated frames may be compressed, in both directions, RFC 7692.
	Deflated
	// Bare is nothing: the messages are an HTTP response, and the peer says no more.
	Bare
)

// maxViews bounds the views of a process: each costs every entry of a ring a pointer.
const maxViews = 8

var views []struct {
	wire.Encoder
	framing Framing
}

// NewView returns the view of what an encoder says, in a framing. It is called
// before any hub runs, and panics when there are too many views. The first view is
// the measure of how large an event is.
func NewView(e wire.Encoder, f Framing) View {
	if len(views) >= maxViews {
		panic("hub: too many views")
	}
	views = append(views, struct {
		wire.Encoder
		framing Framing
	}{e, f})
	return View(len(views) - 1)
}

// Framing is what stands around the view's messages.
func (v View) Framing() Framing { return views[v].framing }

// encode is a notice in complete frames.
func (v View) encode(notice wire.Notice) []byte { return v.encodeBy(views[v].Encoder, notice) }

// framer makes frames of messages. Its parts are used again, so that encoding a notice
// costs the frames alone.
type framer struct {
	view    View
	scratch []byte
	frames  []byte
	emit    func(message []byte, binary bool)
}

var framers = sync.Pool{New: func() any {
	f := &framer{scratch: make([]byte, 0, 1<<10)}
	f.emit = f.take
	return f
}}

// keptScratch bounds what a pooled buffer may hold, in bytes.
const keptScratch = 64 << 10

func (f *framer) take(message []byte, binary bool) {
	f.frames = f.view.frame(f.frames, message, binary)
	if cap(message) > cap(f.scratch) && cap(message) <= keptScratch {
		f.scratch = message[:0]
	}
}

// encodeBy is a notice as an encoder says it, in complete frames of the view.
func (v View) encodeBy(e wire.Encoder, notice wire.Notice) []byte {
	f, _ := framers.Get().(*framer)
	defer framers.Put(f)
	f.view, f.frames = v, nil
	e.Encode(f.scratch, notice, f.emit)
	frames := f.frames
	f.frames = nil
	return frames
}

// frame appends a message as one frame.
func (v View) frame(dst, message []byte, binary bool) []byte {
	if views[v].framing == Bare {
		return append(dst, message...)
	}
	opcode := websocket.Text
	if binary {
		opcode = websocket.Binary
	}
	if views[v].framing == Deflated {
		return append(dst, websocket.Deflate(opcode, message)...)
	}
	if dst == nil {
		dst = make([]byte, 0, websocket.HeaderSize(len(message))+len(message))
	}
	return websocket.AppendFrame(dst, opcode, message)
}

// size is that of an event's message, in bytes.
func size(event wire.Event) (size int) {
	if len(views) == 0 {
		return len(event.Data)
	}
	views[0].Encode(nil, event, func(message []byte, _ bool) { size = len(message) })
	return size
}
