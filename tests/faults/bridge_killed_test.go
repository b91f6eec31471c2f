package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// TestBridgeKilled is F9: a bridge is killed with all its presences. Half of its
// peers come back elsewhere at once and nobody is told anything of them; the
// other half stay away, and are gone from every list and from the bucket.
func TestBridgeKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	sessions := max(10, *size/250)
	channels := rooms(max(1, *size/sessions))
	doomed := s.bridge("doomed")
	haven, lookout := s.bridge("haven.example"), s.bridge("lookout")
	observers := []*Peer{
		s.observer("beside", haven.http, channels...), s.observer("apart", lookout.http, channels...),
	}
	away, elsewhere := s.cable(doomed.http), s.cable(doomed.http)
	leavers := s.crowd("leaver", sessions/2, away.Addr(), channels)
	returners := s.crowd("returner", sessions-sessions/2, elsewhere.Addr(), channels)
	everybody := seats(leavers, returners)
	s.truth(time.Now(), everybody, observers...)
	cost := s.writes(*idle)
	turn(observers...)

	killed := time.Now()
	doomed.kill()
	elsewhere.Lead(haven.http)
	away.Sever()
	for _, peer := range returners {
		s.must(peer.Back(s.ctx, 2))
	}
	returned := time.Since(killed)
	gone := s.truth(killed, seats(returners), observers...)
	buried := s.stored(killed, seats(returners))
	wrong, owed := 0, Owed{Went: Each(seats(leavers))}
	for _, observer := range observers {
		wrong += s.judge(observer, owed)
	}
	table.add(row{
		fault: "F9 bridge killed", presences: len(everybody), owed: len(observers) * len(owed.Went), wrong: wrong, gone: gone,
		did:  fmt.Sprintf("%d sessions, half of them back elsewhere after %.1f s", sessions, returned.Seconds()),
		note: fmt.Sprintf("bucket true after %.1f s; idle: %s", buried.Seconds(), cost),
	})
}

// writes counts what is written to the bus about presence while nobody does
// anything.
func (s *stage) writes(during time.Duration) string {
	s.t.Helper()
	presence, nodes := s.written(s.bucket), s.written(s.open(subjects.BucketNodes))
	began := time.Now()
	wait(s.ctx, during)
	took := time.Since(began).Seconds()
	return fmt.Sprintf("%.2f writes/s of presence, %.2f of leases",
		float64(s.written(s.bucket)-presence)/took, float64(s.written(s.open(subjects.BucketNodes))-nodes)/took)
}

// written is how many writes a bucket has seen.
func (s *stage) written(bucket jetstream.KeyValue) uint64 {
	s.t.Helper()
	status, err := bucket.Status(s.ctx)
	s.must(err)
	return status.(*jetstream.KeyValueBucketStatus).StreamInfo().State.LastSeq
}
