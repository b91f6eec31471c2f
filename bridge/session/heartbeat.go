package session

import (
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// beat looks after a peer that cannot be asked: when it was told nothing for a while,
// it is told so, so that what stands between keeps the connection; and it is gone when
// its machine confirms nothing of what it was told. One whose socket takes nothing is
// left to sweepStalled.
func (s *session) beat(now time.Duration, stalled bool) {
	if stalled {
		return
	}
	if s.pulse.due == 0 {
		s.pulse.due = spread(s.node.Limits.Ping, 0.3)
	}
	if now-s.outlet.LastTold() > s.pulse.due {
		s.pulse.due = spread(s.node.Limits.Ping, 0.8)
		s.tell(wire.Ping{})
	}
	if now-s.pulse.last < pingPatience {
		return
	}
	s.pulse.last = now
	line := s.socket.Line()
	waits := line.Silent > 0
	if waits && s.pulse.asked > 0 && line.Acked == s.acked {
		s.end(schemas.Refuse(schemas.Silent, "the connection has confirmed nothing for %s", (now - s.pulse.asked).Round(time.Second)))
		return
	}
	s.acked, s.pulse.asked = line.Acked, 0
	if waits {
		s.pulse.asked = now
	}
}
