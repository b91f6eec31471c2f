package faults

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology/bustest"
)

// TestQuorumLost is F24: two of three NATS servers are away for twice the length of
// a lease, with a bridge on the survivor and one elsewhere. Nothing can be stored:
// all are told so, and neither bridge is ready. When they are back, so is
// everything, and nobody was told to have left.
func TestQuorumLost(t *testing.T) {
	t.Parallel()
	for run := range *runs {
		t.Run(fmt.Sprint("run ", run+1), func(t *testing.T) { quorumLost(t, 20*time.Second) })
	}
}

func quorumLost(t *testing.T, outage time.Duration) {
	t.Helper()
	s := newStageOn(t, bustest.StartCluster(t))
	channels := rooms(3)
	survivor := s.process("bridge", "survivor", s.bus.Servers[0].ClientURL())
	elsewhere := s.process("bridge", "elsewhere", s.bus.Servers[1].ClientURL())
	bridges := []*process{survivor, elsewhere}
	observers := []*Peer{s.observer("at the survivor", survivor.http, channels...), s.observer("elsewhere", elsewhere.http, channels...)}
	everybody := seats(s.crowd("one", 10, survivor.http, channels), s.crowd("other", 10, elsewhere.http, channels))
	s.truth(time.Now(), everybody, observers...)
	turn(observers...)

	s.bus.Kill(1)
	s.bus.Kill(2)
	broken := time.Now()
	for _, observer := range observers {
		s.must(observer.Told(s.ctx, 1, 0))
	}
	told := time.Since(broken)
	for _, b := range bridges {
		s.ready(b, false)
	}
	wait(s.ctx, time.Until(broken.Add(outage)))
	s.bus.Restart(t, 1)
	s.bus.Restart(t, 2)
	back := time.Now()
	for _, observer := range observers {
		tally := observer.Tally()
		s.must(observer.Told(s.ctx, tally.Degraded, tally.Degraded))
	}
	for _, b := range bridges {
		s.ready(b, true)
	}
	restored := time.Since(back)
	// Whoever sees this has seen everything before it, and by now all who were taken
	// for dead would be told.
	wait(s.ctx, 15*time.Second)
	s.truth(back, everybody, observers...)
	wrong := 0
	for _, observer := range observers {
		wrong += s.judge(observer, Owed{})
	}
	table.add(row{
		fault: "F24 quorum lost", did: fmt.Sprintf("two of three servers away for %v", outage), presences: len(everybody),
		wrong: wrong, back: restored, note: fmt.Sprintf("told degraded after %.1f s", told.Seconds()),
	})
}

// ready blocks until a bridge says that it is ready, or that it is not.
func (s *stage) ready(b *process, want bool) {
	s.t.Helper()
	for {
		request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "http://"+b.http+"/readyz", nil)
		s.must(err)
		response, err := http.DefaultClient.Do(request)
		s.must(err)
		_ = response.Body.Close()
		if (response.StatusCode == http.StatusOK) == want {
			return
		}
		wait(s.ctx, pause)
	}
}
