package e2e

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
)

// slack is how long a replay may take beyond its own duration.
const slack = 4 * time.Minute

// TestChat replays the transcripts through two bridges on an embedded bus. One
// of them is drained and replaced on the way.
func TestChat(t *testing.T) {
	t.Parallel()
	chosen := chosen()
	transcripts := transcriptsOf(t, chosen.size)
	began, into := time.Now(), counts{scenario: "chat"}
	w := newWorld(t, chosen.duration+slack, nil)
	w.start(stack.Config{Node: "b1"})
	second := w.start(stack.Config{Node: "b2", Parts: []string{"bridge"}})
	var given atomic.Int64
	crowds := openRooms(w, transcripts)
	var playing sync.WaitGroup
	playing.Go(func() {
		w.underCuts(chosen.duration, func() { playAll(crowds, chosen.duration, &given) })
	})
	if w.Until(func() bool { return given.Load() >= int64(linesOf(crowds)/3) }) {
		w.replace(second, "b3", &into)
	}
	playing.Wait()
	w.finish(&into, began, crowds, nil)
}

// TestCabs replays the traces through two bridges on an embedded bus.
func TestCabs(t *testing.T) {
	t.Parallel()
	chosen := chosen()
	traces := tracesOf(t)
	began, into := time.Now(), counts{scenario: "cabs"}
	w := newWorld(t, chosen.duration+slack, nil)
	w.start(stack.Config{Node: "b1"})
	w.start(stack.Config{Node: "b2", Parts: []string{"bridge"}})
	cabs := newFleet(w, traces, chosen.size, chosen.duration)
	t.Logf("%d operators at %.0f times real speed", len(cabs.operators), cabs.speed)
	w.underCuts(chosen.duration, cabs.play)
	w.finish(&into, began, nil, cabs)
}

// underCuts does the work while clients are cut at random, and tells how it goes.
func (w *world) underCuts(over time.Duration, work func()) {
	ctx, cancel := context.WithCancel(w.Ctx)
	var beside sync.WaitGroup
	beside.Go(func() { w.cutAtRandom(ctx, over) })
	beside.Go(func() { w.tellProgress(ctx) })
	work()
	cancel()
	beside.Wait()
}

const tellEvery = 10 * time.Second

func (w *world) tellProgress(ctx context.Context) {
	ticker := time.NewTicker(tellEvery)
	defer ticker.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		received, cuts, here := 0, 0, 0
		for _, client := range w.Clients() {
			received += client.Received()
			cuts += client.Tally().Cuts
			if client.Connected() {
				here++
			}
		}
		w.T.Logf("%3.0f s: %d of %d clients connected, %d events received, %d cuts", time.Since(began).Seconds(), here, len(w.Clients()), received, cuts)
	}
}

// finish brings everyone back, judges everything and reports the counts.
func (w *world) finish(into *counts, began time.Time, crowds []*crowd, cabs *fleet) {
	w.T.Helper()
	for _, c := range crowds {
		c.reassemble()
	}
	truth := w.settle(into)
	for _, c := range crowds {
		c.judge(truth, into)
		c.judgePresence(into)
	}
	if cabs != nil {
		cabs.judge(truth, into)
	}
	w.StopClients()
	into.took = time.Since(began)
	report(*into)
}

func openRooms(w *world, transcripts map[string][]Line) []*crowd {
	var crowds []*crowd
	for _, name := range slices.Sorted(maps.Keys(transcripts)) {
		crowds = append(crowds, newCrowd(w, name, transcripts[name]))
	}
	return crowds
}

func linesOf(crowds []*crowd) int {
	lines := 0
	for _, c := range crowds {
		lines += len(c.lines)
	}
	return lines
}

// playAll plays the rooms beside one another.
func playAll(crowds []*crowd, over time.Duration, given *atomic.Int64) {
	var playing sync.WaitGroup
	for _, c := range crowds {
		playing.Go(func() {
			var working sync.WaitGroup
			c.arrive(&working)
			c.play(over, &working, given)
		})
	}
	playing.Wait()
}

func transcriptsOf(t *testing.T, size float64) map[string][]Line {
	t.Helper()
	transcripts, err := Transcripts(recordings(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, lines := range transcripts {
		transcripts[name] = lines[:max(1, int(size*float64(len(lines))))]
	}
	return transcripts
}

func tracesOf(t *testing.T) map[string][]Fix {
	t.Helper()
	traces, err := Traces(recordings(t))
	if err != nil {
		t.Fatal(err)
	}
	return traces
}
