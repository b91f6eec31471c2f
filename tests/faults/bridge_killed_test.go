package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// TestBridgeKilled is F9: a bridge is killed with all its presences. Half of its
// clients come back elsewhere at once and nobody is told anything of them; the
// other half stay away, and are gone from every list and from the bucket.
func TestBridgeKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	sessions := max(10, *size/250)
	channels := rooms(max(1, *size/sessions))
	doomed := s.bridge("doomed")
	haven, observing := s.bridge("haven.example"), s.bridge("observing")
	observers := []*kit.Client{
		s.observer("beside", haven.HTTP, channels...), s.observer("apart", observing.HTTP, channels...),
	}
	away, elsewhere := s.Proxy(doomed.HTTP), s.Proxy(doomed.HTTP)
	leavers := s.crowd("leaver", sessions/2, away.Addr(), channels)
	returners := s.crowd("returner", sessions-sessions/2, elsewhere.Addr(), channels)
	everybody := seats(leavers, returners)
	s.truth(time.Now(), everybody, observers...)
	cost := s.writes(*idle)
	reset(observers...)

	killed := time.Now()
	doomed.Kill()
	elsewhere.Redirect(haven.HTTP)
	away.Cut()
	for _, client := range returners {
		s.Must(client.Back(s.Ctx, 2))
	}
	returned := time.Since(killed)
	gone := s.truth(killed, seats(returners), observers...)
	buried := s.stored(killed, seats(returners))
	wrong, owed := 0, kit.Owed{Went: kit.Each(seats(leavers))}
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
	s.T.Helper()
	presence, nodes := s.written(subjects.BucketPresence), s.written(subjects.BucketNodes)
	began := time.Now()
	kit.Wait(s.Ctx, during)
	took := time.Since(began).Seconds()
	return fmt.Sprintf("%.2f writes/s of presence, %.2f of leases",
		float64(s.written(subjects.BucketPresence)-presence)/took, float64(s.written(subjects.BucketNodes)-nodes)/took)
}

// written is how many writes a bucket has seen.
func (s *stage) written(name string) uint64 {
	s.T.Helper()
	bucket, err := s.JetStream().KeyValue(s.Ctx, name)
	s.Must(err)
	status, err := bucket.Status(s.Ctx)
	s.Must(err)
	return status.(*jetstream.KeyValueBucketStatus).StreamInfo().State.LastSeq
}
