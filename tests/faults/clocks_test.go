package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology"
)

// TestClocks has bridges and services whose clocks are wrong, in both directions.
// Nobody is told of anybody who stays; whoever is cut off and comes back through
// another clock was never away; whoever stays away is gone once.
func TestClocks(t *testing.T) {
	t.Parallel()
	if *skew == 0 {
		t.Skip("the program is built anew for a wrong clock, which takes a minute: -skew 5m")
	}
	skewed := buildSkewed(t)
	s := newStage(t)
	slow, fast := s.wrongly(skewed, "bridge", "slow", -*skew), s.wrongly(skewed, "bridge", "fast", *skew)
	s.wrongly(skewed, "presence", "presence-slow", -*skew)
	exact := s.bridge("exact")
	channels := rooms(5)
	observers := []*Peer{
		s.observer("slow", slow.http, channels...), s.observer("exact", exact.http, channels...), s.observer("fast", fast.http, channels...),
	}
	toFast, toSlow, nowhere := s.cable(slow.http), s.cable(exact.http), s.cable(fast.http)
	back := slices.Concat(s.crowd("forth", 3, toFast.Addr(), channels), s.crowd("back", 3, toSlow.Addr(), channels))
	lost := s.crowd("lost", 3, nowhere.Addr(), channels)
	stayers := slices.Concat(s.crowd("slow", 3, slow.http, channels), s.crowd("exact", 3, exact.http, channels))
	everybody := seats(back, lost, stayers)
	s.truth(time.Now(), everybody, observers...)

	turn(observers...)
	wait(s.ctx, topology.LeaseTTL+3*time.Second) // a wrong clock would have ended a lease by now
	idle := 0
	for _, observer := range observers {
		idle += s.judge(observer, Owed{})
	}

	for _, cable := range []*Cable{toFast, toSlow, nowhere} {
		cable.Sever()
	}
	cut := time.Now()
	toFast.Lead(fast.http)
	toSlow.Lead(slow.http)
	remaining := seats(back, stayers)
	gone := s.truth(cut, remaining, observers...)
	s.stored(cut, remaining)
	owed := Owed{Went: Each(seats(lost))}
	wrong := idle
	for _, observer := range observers {
		wrong += s.judge(observer, owed)
	}

	turn(observers...)
	killed := time.Now()
	fast.kill()
	toFast.Lead(exact.http)
	s.truth(killed, remaining, observers[:2]...)
	s.stored(killed, remaining)
	wait(s.ctx, topology.LeaseTTL+3*time.Second)
	for _, observer := range observers[:2] {
		wrong += s.judge(observer, Owed{})
	}
	table.add(row{
		fault: "clocks wrong", presences: len(everybody), owed: len(observers) * len(owed.Went), wrong: wrong, gone: gone,
		did: fmt.Sprintf("two bridges and a service by %v, cut and killed", *skew),
	})
}

// wrongly runs a part whose clock is wrong.
func (s *stage) wrongly(program, part, node string, by time.Duration) *process {
	s.t.Helper()
	return run(s.t, program, node, clockOff(by), part, "--nats-url", s.bus.URL(), "--jwt-secret", s.secret)
}
