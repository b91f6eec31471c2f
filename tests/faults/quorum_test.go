package faults

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/kit"
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
	survivor := s.bridge("survivor", "--nats-url", s.Bus.Servers[0].ClientURL())
	elsewhere := s.bridge("elsewhere", "--nats-url", s.Bus.Servers[1].ClientURL())
	bridges := []*kit.Process{survivor, elsewhere}
	observers := []*kit.Client{s.observer("at the survivor", survivor.HTTP, channels...), s.observer("elsewhere", elsewhere.HTTP, channels...)}
	everybody := seats(s.crowd("one", 10, survivor.HTTP, channels), s.crowd("other", 10, elsewhere.HTTP, channels))
	s.truth(time.Now(), everybody, observers...)
	reset(observers...)

	s.Bus.Kill(1)
	s.Bus.Kill(2)
	broken := time.Now()
	for _, observer := range observers {
		s.Must(observer.Told(s.Ctx, 1, 0))
	}
	told := time.Since(broken)
	for _, b := range bridges {
		s.ready(b, false)
	}
	kit.Wait(s.Ctx, time.Until(broken.Add(outage)))
	s.Bus.Restart(t, 1)
	s.Bus.Restart(t, 2)
	back := time.Now()
	for _, observer := range observers {
		tally := observer.Tally()
		s.Must(observer.Told(s.Ctx, tally.Degraded, tally.Degraded))
	}
	for _, b := range bridges {
		s.ready(b, true)
	}
	restored := time.Since(back)
	// Whoever sees this has seen everything before it, and by now all who were taken
	// for dead would be told.
	kit.Wait(s.Ctx, 15*time.Second)
	s.truth(back, everybody, observers...)
	wrong := 0
	for _, observer := range observers {
		wrong += s.judge(observer, kit.Owed{})
	}
	table.add(row{
		fault: "F24 quorum lost", did: fmt.Sprintf("two of three servers away for %v", outage), presences: len(everybody),
		wrong: wrong, back: restored, note: fmt.Sprintf("told degraded after %.1f s", told.Seconds()),
	})
}

// ready blocks until a bridge says that it is ready, or that it is not.
func (s *stage) ready(b *kit.Process, want bool) {
	s.T.Helper()
	for {
		answer, err := kit.Ask(s.Ctx, b.HTTP, kit.Request{Method: http.MethodGet, Path: "/readyz"})
		s.Must(err)
		if (answer.Status == http.StatusOK) == want {
			return
		}
		kit.Wait(s.Ctx, pause)
	}
}
