package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/latido/latido/tests/kit"
)

// TestSilence is F8: the packets of some clients are dropped, in both directions,
// and nobody is told. Each is gone once, after the silence limit and the grace,
// and those beside them stay. When they pass again each comes once.
func TestSilence(t *testing.T) {
	t.Parallel()
	const (
		ping  = time.Second
		grace = 3 * time.Second
		limit = ping + 10*time.Second // a ping is answered within ten seconds
	)
	s := newStage(t)
	channels := rooms(5)
	flags := []string{"--ping", ping.String(), "--grace", grace.String()}
	one, other := s.bridge("one", flags...), s.bridge("other", flags...)
	observers := []*kit.Client{s.observer("beside", one.HTTP, channels...), s.observer("apart", other.HTTP, channels...)}
	proxy := s.Proxy(one.HTTP)
	lost, stayers := s.crowd("lost", 4, proxy.Addr(), channels), s.crowd("stayer", 4, one.HTTP, channels)
	everybody := seats(lost, stayers)
	s.truth(time.Now(), everybody, observers...)

	reset(observers...)
	proxy.Stall()
	silenced := time.Now()
	s.truth(silenced, seats(stayers), observers...)
	wrong, owed := 0, kit.Owed{Went: kit.Each(seats(lost))}
	var first, last time.Duration
	for _, observer := range observers {
		wrong += s.judge(observer, owed)
		changes := observer.Ledger.Changes()
		first, last = changes[0].At.Sub(silenced), max(last, changes[len(changes)-1].At.Sub(silenced))
	}

	reset(observers...)
	proxy.Restore()
	mended := time.Now()
	back := s.truth(mended, everybody, observers...)
	for _, observer := range observers {
		wrong += s.judge(observer, kit.Owed{Came: kit.Each(seats(lost))})
	}
	table.add(row{
		fault: "F8 packets dropped", presences: len(everybody), owed: 2 * len(observers) * len(owed.Went), wrong: wrong, gone: last, back: back,
		did:  fmt.Sprintf("%d of %d sessions fall silent", len(lost), len(lost)+len(stayers)),
		note: fmt.Sprintf("gone after %.1f to %.1f s; the limit and the grace are %.0f s", first.Seconds(), last.Seconds(), (limit + grace).Seconds()),
	})
}
