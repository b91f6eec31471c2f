package session

import (
	"math/rand/v2"
	"time"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// Drain takes leave of all sessions, spread over a while, so that the other
// nodes are not stormed. Their members stay in their grace: who comes back
// elsewhere within it was never away.
func (n *Node) Drain(over time.Duration) {
	n.draining.Store(true)
	sessions := n.registry.all()
	if len(sessions) > 0 {
		n.log.Info("bridge drains", "sessions", len(sessions), "over", over)
	}
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	done := make(chan struct{})
	go func() {
		for _, s := range sessions {
			s.working.Wait()
		}
		close(done)
	}()
	began := time.Now()
	for i, s := range sessions {
		due := over * time.Duration(i) / time.Duration(len(sessions))
		select {
		case <-done:
			return // all have left by themselves
		case <-time.After(time.Until(began.Add(due))):
		}
		s.tell(wire.Drain{ReturnIn: time.Duration(rand.Int64N(int64(time.Second)))})
		s.end(schemas.Refuse(schemas.Draining, "this node stops"))
	}
	select {
	case <-done:
	case <-time.After(2 * netpoll.Farewell):
		for _, s := range n.registry.all() {
			s.outlet.Fail()
		}
		<-done
	}
}

// Close takes no more connections and waits for those that came while the others
// were taken leave of.
func (n *Node) Close() {
	n.gate.Lock()
	n.closed = true
	n.gate.Unlock()
	for _, s := range n.registry.all() {
		s.outlet.Fail()
	}
	n.sessions.Wait()
}
