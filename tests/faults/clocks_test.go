package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/tests/kit"
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
	observers := []*kit.Client{
		s.observer("slow", slow.HTTP, channels...), s.observer("exact", exact.HTTP, channels...), s.observer("fast", fast.HTTP, channels...),
	}
	toFast, toSlow, nowhere := s.Proxy(slow.HTTP), s.Proxy(exact.HTTP), s.Proxy(fast.HTTP)
	back := slices.Concat(s.crowd("forth", 3, toFast.Addr(), channels), s.crowd("back", 3, toSlow.Addr(), channels))
	lost := s.crowd("lost", 3, nowhere.Addr(), channels)
	stayers := slices.Concat(s.crowd("slow", 3, slow.HTTP, channels), s.crowd("exact", 3, exact.HTTP, channels))
	everybody := seats(back, lost, stayers)
	s.truth(time.Now(), everybody, observers...)

	reset(observers...)
	kit.Wait(s.Ctx, topology.LeaseTTL+3*time.Second) // a wrong clock would have ended a lease by now
	idle := 0
	for _, observer := range observers {
		idle += s.judge(observer, kit.Owed{})
	}

	for _, proxy := range []*kit.Proxy{toFast, toSlow, nowhere} {
		proxy.Cut()
	}
	cut := time.Now()
	toFast.Redirect(fast.HTTP)
	toSlow.Redirect(slow.HTTP)
	remaining := seats(back, stayers)
	gone := s.truth(cut, remaining, observers...)
	s.stored(cut, remaining)
	owed := kit.Owed{Went: kit.Each(seats(lost))}
	wrong := idle
	for _, observer := range observers {
		wrong += s.judge(observer, owed)
	}

	reset(observers...)
	killed := time.Now()
	fast.Kill()
	toFast.Redirect(exact.HTTP)
	s.truth(killed, remaining, observers[:2]...)
	s.stored(killed, remaining)
	kit.Wait(s.Ctx, topology.LeaseTTL+3*time.Second)
	for _, observer := range observers[:2] {
		wrong += s.judge(observer, kit.Owed{})
	}
	table.add(row{
		fault: "clocks wrong", presences: len(everybody), owed: len(observers) * len(owed.Went), wrong: wrong, gone: gone,
		did: fmt.Sprintf("two bridges and a service by %v, cut and killed", *skew),
	})
}

// wrongly runs a part whose clock is wrong.
func (s *stage) wrongly(program, part, node string, by time.Duration) *kit.Process {
	s.T.Helper()
	return s.Process(part, kit.Program{Path: program, Node: node, Environment: clockOff(by)})
}
