package faults

import (
	"fmt"
	"testing"
	"time"
)

// TestSilence is F8: the packets of some peers are dropped, in both directions,
// and nobody is told. Each is gone once, after the silence limit and the grace,
// and those beside them stay. When the radio is back each comes once.
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
	observers := []*Peer{s.observer("beside", one.http, channels...), s.observer("apart", other.http, channels...)}
	radio := s.cable(one.http)
	lost, stayers := s.crowd("lost", 4, radio.Addr(), channels), s.crowd("stayer", 4, one.http, channels)
	everybody := seats(lost, stayers)
	s.truth(time.Now(), everybody, observers...)

	turn(observers...)
	radio.Silence()
	silenced := time.Now()
	s.truth(silenced, seats(stayers), observers...)
	wrong, owed := 0, Owed{Went: Each(seats(lost))}
	var first, last time.Duration
	for _, observer := range observers {
		wrong += s.judge(observer, owed)
		edges := observer.Ledger.Edges()
		first, last = edges[0].At.Sub(silenced), max(last, edges[len(edges)-1].At.Sub(silenced))
	}

	turn(observers...)
	radio.Mend()
	mended := time.Now()
	back := s.truth(mended, everybody, observers...)
	for _, observer := range observers {
		wrong += s.judge(observer, Owed{Came: Each(seats(lost))})
	}
	table.add(row{
		fault: "F8 packets dropped", presences: len(everybody), owed: 2 * len(observers) * len(owed.Went), wrong: wrong, gone: last, back: back,
		did:  fmt.Sprintf("%d of %d sessions fall silent", len(lost), len(lost)+len(stayers)),
		note: fmt.Sprintf("gone after %.1f to %.1f s; the limit and the grace are %.0f s", first.Seconds(), last.Seconds(), (limit + grace).Seconds()),
	})
}
