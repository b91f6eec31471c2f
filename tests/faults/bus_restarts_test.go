package faults

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestBusRestarts is F7: the NATS server is restarted again and again while some
// peers come and go and others stay. Nobody is told of those who stay, and at the
// end every list is who is there.
func TestBusRestarts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	channels := rooms(5)
	one, other := s.bridge("one"), s.bridge("other")
	observers := []*Peer{s.observer("one", one.http, channels...), s.observer("other", other.http, channels...)}
	stayers := append(s.crowd("stayer", 10, one.http, channels), s.crowd("lodger", 10, other.http, channels)...)
	staying := seats(stayers)
	s.truth(time.Now(), staying, observers...)
	turn(observers...)

	guests := []*guest{}
	var visiting sync.WaitGroup
	until := time.Now().Add(*duration)
	for i := range 10 {
		g := &guest{stage: s, channels: channels, random: rand.New(rand.NewPCG(*seed, uint64(i))), came: map[Seat]int{}, went: map[Seat]int{}}
		g.peer, _ = s.peer(fmt.Sprintf("guest %d", i), []string{one.http, other.http}[i%2], "")
		guests = append(guests, g)
		visiting.Go(func() { g.comeAndGo(until) })
	}
	restarts := 0
	for ; time.Now().Before(until); restarts++ {
		wait(s.ctx, betweenRestarts)
		s.bus.Kill(0)
		s.bus.Restart(t, 0)
	}
	ended := time.Now()
	visiting.Wait()

	changes, there := 0, staying
	for _, g := range guests {
		changes += g.changes
		there = append(there, g.peer.Seats()...)
	}
	back := max(s.truth(ended, there, observers...), s.stored(ended, there))
	wrong := 0
	for _, observer := range observers {
		wrong += s.judgeComing(observer, guests)
	}
	table.add(row{
		fault: "F7 NATS restarted", did: fmt.Sprintf("%d restarts, 10 peers came or went %d times", restarts, changes),
		presences: len(there), wrong: wrong, back: back, note: fmt.Sprintf("told degraded %d times", observers[0].Tally().Degraded),
	})
}

const betweenRestarts = 2500 * time.Millisecond

// guest comes and goes at random.
type guest struct {
	*stage
	peer     *Peer
	channels []string
	random   *rand.Rand
	changes  int
	came     map[Seat]int // how often it showed itself, and hid
	went     map[Seat]int
}

func (g *guest) comeAndGo(until time.Time) {
	shown := map[string]bool{}
	for time.Now().Before(until) && g.ctx.Err() == nil {
		channel := g.channels[g.random.IntN(len(g.channels))]
		var err error
		if shown[channel] = !shown[channel]; shown[channel] {
			err = g.peer.Show(g.ctx, channel)
			g.came[g.peer.seat(channel)]++
		} else {
			err = g.peer.Hide(g.ctx, channel)
			g.went[g.peer.seat(channel)]++
		}
		if !g.check(err) {
			return
		}
		g.changes++
		wait(g.ctx, time.Duration(g.random.IntN(400))*time.Millisecond)
	}
}

// judgeComing demands that an observer was told nothing of those who stayed, and
// of those who came and went not more than they did: who goes and comes within a
// tenth of a second is no news.
func (s *stage) judgeComing(observer *Peer, guests []*guest) int {
	s.t.Helper()
	owed := Owed{Came: map[Seat]int{}, Went: map[Seat]int{}}
	told := map[Edge]int{}
	for _, g := range guests {
		maps.Copy(owed.Came, g.came)
		maps.Copy(owed.Went, g.went)
	}
	var surplus []Edge
	for _, edge := range observer.Ledger.Edges() {
		most := owed.Went[edge.Seat]
		if edge.Came {
			most = owed.Came[edge.Seat]
		}
		kind := Edge{Seat: edge.Seat, Came: edge.Came}
		if told[kind]++; told[kind] > most {
			surplus = append(surplus, edge)
		}
	}
	return s.judgeEdges(observer, surplus, Owed{})
}
