package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/tests/kit"
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
	observers := []*kit.Client{s.observer("one", one.HTTP, channels...), s.observer("other", other.HTTP, channels...)}
	everybody := seats(s.crowd("at one", 10, one.HTTP, channels), s.crowd("at other", 10, other.HTTP, channels))
	s.truth(time.Now(), everybody, observers...)
	reset(observers...)

	s.Bus.Kill(0)
	kit.Wait(s.Ctx, outage)
	s.Bus.Restart(t, 0)
	restarted := time.Now()
	for _, observer := range observers {
		s.Must(observer.Told(s.Ctx, 1, 1))
	}
	back := time.Since(restarted)
	kit.Wait(s.Ctx, topology.LeaseTTL+5*time.Second) // who was taken for dead is told by now
	s.truth(restarted, everybody, observers...)
	s.stored(restarted, everybody)
	wrong := 0
	for _, observer := range observers {
		wrong += s.judge(observer, kit.Owed{})
	}
	table.add(row{
		fault: "F7 NATS away", did: fmt.Sprintf("%v, longer than the lease", outage),
		presences: len(everybody), wrong: wrong, back: back, note: "told restored in that time",
	})
}
