package hub

import (
	"sync/atomic"
	"time"

	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
)

// Dialect is an index into dialects.
type Dialect uint8

// The dialects; each compressed form is one of its own, so that a message is
// compressed once for all who take it so.
const (
	Native Dialect = iota
	NativeDeflated
)

// dialects are the protocols browsers may speak.
var dialects = [...]struct {
	wire.Dialect
	deflate bool
}{
	Native:         {native.Dialect{}, false},
	NativeDeflated: {native.Dialect{}, true},
}

// Deflates says whether its frames may be compressed, in both directions.
func (d Dialect) Deflates() bool { return dialects[d].deflate }

// encode is the complete WebSocket frame of a notice in a dialect.
func (d Dialect) encode(notice wire.Notice) []byte {
	// The payload is written behind room for the longest header, which is then
	// laid right before it.
	const room = 10
	buffer := dialects[d].Encode(make([]byte, room, 256), notice)
	payload := len(buffer) - room
	if payload == 0 {
		return nil
	}
	if dialects[d].deflate {
		return websocket.Deflate(buffer[room:])
	}
	start := room - websocket.HeaderSize(payload)
	websocket.AppendHeader(buffer[:start], websocket.Text, payload)
	return buffer[start:]
}

// entry is one notice in a channel's ring: a fact, a live event, or a change of
// presence.
type entry struct {
	notice   wire.Notice
	sequence uint64    // of a fact, or the last one a hole misses; 0 otherwise
	stored   time.Time // of a fact: when the stream took it; of a hole: the proof of its end
	at       uint64    // sequence of the newest fact at or before the entry, set by the ring
	size     int       // bytes held, roughly
	presence bool      // for subscriptions with presence only
	hole     bool      // stands for facts that are gone
	ends     []string  // of a fact: whose memberships it ended

	frames [len(dialects)]atomic.Pointer[[]byte]
}

// overhead is what an entry holds beside its data.
const overhead = 200

func eventEntry(event wire.Event) *entry {
	return &entry{notice: event, sequence: event.Sequence, stored: event.At, size: overhead + 2*len(event.Data)}
}

func gapEntry(gap wire.Gap) *entry {
	return &entry{notice: gap, sequence: gap.To, stored: gap.Position.At, hole: true, size: overhead}
}

// frame is the entry's frame in a dialect, encoded by the first who needs it and
// shared by all.
func (e *entry) frame(d Dialect) []byte {
	if frame := e.frames[d].Load(); frame != nil {
		return *frame
	}
	frame := d.encode(e.notice)
	e.frames[d].Store(&frame)
	return frame
}
