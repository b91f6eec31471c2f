package hub

import (
	"sync/atomic"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

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

	ends subjects.Ended // of a fact: whose memberships it ended

	frames [maxViews]atomic.Pointer[[]byte] // by view, encoded by the first who needs it
}

// overhead is what an entry holds beside its data.
const overhead = 200

func eventEntry(event wire.Event) *entry {
	return &entry{notice: event, sequence: event.Sequence, stored: event.At, size: overhead + 2*len(event.Data)}
}

func gapEntry(gap wire.Gap) *entry {
	return &entry{notice: gap, sequence: gap.To, stored: gap.Position.At, hole: true, size: overhead}
}

// frame is the entry as readers of a view take it, encoded by the first who needs it
// and shared by all.
func (e *entry) frame(v View) []byte {
	if frame := e.frames[v].Load(); frame != nil {
		return *frame
	}
	frame := v.encode(e.notice)
	e.frames[v].Store(&frame)
	return frame
}
