package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology"
)

// TestBusAway is the long half of F7: NATS is away for longer than a lease, so
// that it comes back to leases that have all run out. Nobody leaves: every bridge
// is given the time to say that it is there.
func TestBusAway(t *testing.T) {
	t.Parallel()
	const outage = topology.LeaseTTL + 2*time.Second
	s := newStage(t)
	channels := rooms(5)
	one, other := s.bridge("one"), s.bridge("other")
	observers := []*Peer{s.observer("one", one.http, channels...), s.observer("other", other.http, channels...)}
	everybody := seats(s.crowd("at one", 10, one.http, channels), s.crowd("at other", 10, other.http, channels))
	s.truth(time.Now(), everybody, observers...)
	turn(observers...)

	s.bus.Kill(0)
	wait(s.ctx, outage)
	s.bus.Restart(t, 0)
	restarted := time.Now()
	for _, observer := range observers {
		s.must(observer.Told(s.ctx, 1, 1))
	}
	back := time.Since(restarted)
	wait(s.ctx, topology.LeaseTTL+5*time.Second) // who was taken for dead is told by now
	s.truth(restarted, everybody, observers...)
	s.stored(restarted, everybody)
	wrong := 0
	for _, observer := range observers {
		wrong += s.judge(observer, Owed{})
	}
	table.add(row{
		fault: "F7 NATS away", did: fmt.Sprintf("%v, longer than the lease", outage),
		presences: len(everybody), wrong: wrong, back: back, note: "told restored in that time",
	})
}
