package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/latido/latido/tests/kit"
)

// TestBusRestarts is F7: the NATS server is restarted again and again while some
// clients come and go and others stay. Nobody is told of those who stay, and at the
// end every list is who is there.
func TestBusRestarts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	channels := rooms(5)
	one, other := s.bridge("one"), s.bridge("other")
	observers := []*kit.Client{s.observer("one", one.HTTP, channels...), s.observer("other", other.HTTP, channels...)}
	stayers := append(s.crowd("stayer", 10, one.HTTP, channels), s.crowd("lodger", 10, other.HTTP, channels)...)
	staying := seats(stayers)
	s.truth(time.Now(), staying, observers...)
	reset(observers...)

	guests := []*guest{}
	var visiting sync.WaitGroup
	until := time.Now().Add(*duration)
	for i := range 10 {
		g := &guest{stage: s, channels: channels, random: rand.New(rand.NewPCG(*seed, uint64(i))), came: map[kit.Seat]int{}, went: map[kit.Seat]int{}}
		g.client, _ = s.client(fmt.Sprintf("guest %d", i), []string{one.HTTP, other.HTTP}[i%2], "")
		guests = append(guests, g)
		visiting.Go(func() { g.comeAndGo(until) })
	}
	restarts := 0
	for ; time.Now().Before(until); restarts++ {
		kit.Wait(s.Ctx, betweenRestarts)
		s.Bus.Kill(0)
		s.Bus.Restart(t, 0)
	}
	ended := time.Now()
	visiting.Wait()

	changes, there := 0, staying
	for _, g := range guests {
		changes += g.changes
		there = append(there, g.client.Seats()...)
	}
	back := max(s.truth(ended, there, observers...), s.stored(ended, there))
	wrong := 0
	for _, observer := range observers {
		wrong += s.judgeComing(observer, guests)
	}
	table.add(row{
		fault: "F7 NATS restarted", did: fmt.Sprintf("%d restarts, 10 clients came or went %d times", restarts, changes),
		presences: len(there), wrong: wrong, back: back, note: fmt.Sprintf("told degraded %d times", observers[0].Tally().Degraded),
	})
}

const betweenRestarts = 2500 * time.Millisecond

// guest comes and goes at random.
type guest struct {
	*stage
	client   *kit.Client
	channels []string
	random   *rand.Rand
	changes  int
	came     map[kit.Seat]int // how often it showed itself, and hid
	went     map[kit.Seat]int
}

func (g *guest) comeAndGo(until time.Time) {
	shown := map[string]bool{}
	for time.Now().Before(until) && g.Ctx.Err() == nil {
		channel := g.channels[g.random.IntN(len(g.channels))]
		var err error
		if shown[channel] = !shown[channel]; shown[channel] {
			err = g.client.Track(g.Ctx, channel, nil)
			g.came[g.client.Seat(channel)]++
		} else {
			err = g.client.Untrack(g.Ctx, channel)
			g.went[g.client.Seat(channel)]++
		}
		if !g.Check(err) {
			return
		}
		g.changes++
		kit.Wait(g.Ctx, time.Duration(g.random.IntN(400))*time.Millisecond)
	}
}

// judgeComing demands that an observer was told nothing of those who stayed, and
// of those who came and went not more than they did: who goes and comes within a
// tenth of a second is no news.
func (s *stage) judgeComing(observer *kit.Client, guests []*guest) int {
	s.T.Helper()
	owed := kit.Owed{Came: map[kit.Seat]int{}, Went: map[kit.Seat]int{}}
	told := map[kit.Change]int{}
	for _, g := range guests {
		maps.Copy(owed.Came, g.came)
		maps.Copy(owed.Went, g.went)
	}
	var surplus []kit.Change
	for _, change := range observer.Ledger.Changes() {
		most := owed.Went[change.Seat]
		if change.Came {
			most = owed.Came[change.Seat]
		}
		kind := kit.Change{Seat: change.Seat, Came: change.Came}
		if told[kind]++; told[kind] > most {
			surplus = append(surplus, change)
		}
	}
	return s.judgeChanges(observer, surplus, kit.Owed{})
}
