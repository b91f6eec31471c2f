package e2e

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects/topology/bustest"
)

// TestCluster replays both at once on three servers, with three bridges and
// services split over processes, two of each, while the leaders of the streams
// are killed in turn. It runs alone: beside other tests the three servers of a small
// machine would miss one another.
func TestCluster(t *testing.T) {
	chosen := chosen()
	over := 2 * chosen.duration
	transcripts, traces := transcriptsOf(t, chosen.size/2), tracesOf(t)
	began, into := time.Now(), counts{scenario: "cluster"}
	w := newWorld(t, over+slack, bustest.StartCluster(t))
	for _, cfg := range []stack.Config{
		{Node: "s1", Parts: []string{"chat", "presence"}},
		{Node: "s2", Parts: []string{"ops", "tracking"}},
		{Node: "s3", Parts: []string{"chat", "ops", "presence", "tracking"}},
		{Node: "b1", Parts: []string{"bridge"}},
		{Node: "b2", Parts: []string{"bridge"}},
		{Node: "b3", Parts: []string{"bridge"}},
	} {
		w.start(cfg)
	}
	t.Cleanup(w.tellConsumers)
	var given atomic.Int64
	crowds := openRooms(w, transcripts)
	cabs := newFleet(w, traces, chosen.size/2, over)
	t.Logf("%d lines, and %d operators at %.0f times real speed", linesOf(crowds), len(cabs.operators), cabs.speed)
	var playing sync.WaitGroup
	playing.Go(func() {
		w.underCuts(over, func() {
			var both sync.WaitGroup
			both.Go(func() { playAll(crowds, over, &given) })
			both.Go(cabs.play)
			both.Wait()
		})
	})
	w.killLeaders(chosen.kills, &given, linesOf(crowds), &into)
	playing.Wait()
	w.finish(&into, began, crowds, cabs)
}
