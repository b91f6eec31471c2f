package bridge

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// drain takes leave of all sessions, spread over a while, so that the other
// nodes are not stormed. Their members stay in their grace: who comes back
// elsewhere within it was never away.
func (b *Bridge) drain() {
	b.ready.Store(false)
	b.draining.Store(true)
	sessions := b.registry.all()
	if len(sessions) > 0 {
		b.log.Info("bridge drains", "sessions", len(sessions), "over", b.config.Drain)
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
		due := b.config.Drain * time.Duration(i) / time.Duration(len(sessions))
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
		for _, s := range b.registry.all() {
			s.outlet.Fail()
		}
		<-done
	}
}

// close takes no more connections and waits for those that came while the others
// were taken leave of.
func (b *Bridge) close() {
	b.gate.Lock()
	b.closed = true
	b.gate.Unlock()
	for _, s := range b.registry.all() {
		s.outlet.Fail()
	}
	b.sessions.Wait()
}

// sayGoodbye gives the lease back, so that nobody has to wait for its end.
func (b *Bridge) sayGoodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), netpoll.Farewell)
	defer cancel()
	if err := b.hub.Leases.Return(ctx); err != nil {
		b.log.Warn("give back the lease", "error", err)
	}
}
