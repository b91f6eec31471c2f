package session

import (
	"time"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// stallTimeout is how long a socket may take nothing before it is closed.
const stallTimeout = 30 * time.Second

// sweeper looks after the deadlines of all sessions.
type sweeper struct {
	registry *registry
	last     time.Duration // by uptime
}

// sweep is called once per tick. When it is called much later, it was this
// process that did not run, and no session is blamed for that.
func (w *sweeper) sweep() {
	now := netpoll.Uptime()
	absent := max(now-w.last-2*hub.Tick, 0)
	if w.last == 0 {
		absent = 0
	}
	w.last = now
	today := time.Now()
	for _, s := range w.registry.all() {
		s.sweep(now, absent, today)
		s.sweepDevice(today)
		s.sweepStandings(today)
	}
}

// sweep looks after the session's deadlines.
func (s *session) sweep(now, absent time.Duration, today time.Time) {
	stalled, ending := s.outlet.Stalled(), s.outlet.Ending()
	s.mu.Lock()
	welcomed, expires := s.welcomed, s.identity.Expires
	s.mu.Unlock()
	s.pulse.excuse(absent, time.Duration(s.heard.Load()))
	limits := s.node.Limits
	switch {
	case !welcomed && now-s.opened > limits.Handshake+netpoll.Farewell:
		s.outlet.Fail() // it does not take the goodbye either
	case stalled:
		s.sweepStalled(now)
	case ending:
	case !welcomed && now-s.opened > limits.Handshake:
		s.end(schemas.Refuse(schemas.HelloExpected, "the first frame must be hello, within %s", limits.Handshake))
	case !welcomed:
	case today.After(expires):
		s.end(schemas.Refuse(schemas.TokenExpired, "the token has expired"))
	}
	switch {
	case !welcomed || ending:
	case s.listens():
		s.beat(now, stalled)
	default:
		s.care(now, signs{
			heard: time.Duration(s.heard.Load()), told: s.outlet.LastTold(), ponged: time.Duration(s.ponged.Load()),
			sent: s.outlet.Load(), deaf: stalled || s.queues.full(),
		})
	}
}

// sweepStalled ends a session whose peer has taken nothing for long. What its
// socket does not take is seen to go only in large parts, so TCP is asked.
func (s *session) sweepStalled(now time.Duration) {
	if acked := s.socket.Line().Acked; acked != s.acked {
		s.acked = acked
		s.outlet.Progressed(now)
	}
	if now-s.outlet.LastProgress() > stallTimeout {
		s.outlet.Fail()
	}
}

// care asks a peer that may be gone, and ends the session of one that is.
func (s *session) care(now time.Duration, seen signs) {
	switch s.pulse.judge(now, s.node.Limits.Ping, seen) {
	case stepAsk:
		s.ping()
	case stepDoubt:
		if s.socket.Line().Silent < now-s.pulse.asked {
			return // it takes what stands before the question
		}
		s.silent(now)
	case stepGone:
		s.silent(now)
	case stepNone:
	}
}

// ping asks the peer whether it is there, in its protocol or, where that has no way
// to ask, by RFC 6455 section 5.5.2.
func (s *session) ping() {
	frame := s.outlet.Encode(wire.Ping{})
	if len(frame) == 0 {
		frame = websocket.AppendFrame(nil, websocket.Ping, nil)
	}
	s.send(frame)
}

// silent ends the session of a peer that did not answer, and does not wait for
// its goodbye.
func (s *session) silent(now time.Duration) {
	waited := now - s.pulse.asked
	s.outlet.Hurry()
	s.end(schemas.Refuse(schemas.Silent, "a ping was not answered for %s", waited.Round(time.Second)))
}
