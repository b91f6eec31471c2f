package bridge

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var (
	modelFor  = flag.Duration("model.for", 0, "how long to run random scripts; 0 runs a few")
	modelSeed = flag.Uint64("model.seed", 0, "the one script to run; 0 runs several")
)

const (
	modelScripts = 6
	modelSteps   = 24
)

// modelFound are the scripts that have found something once.
var modelFound = []uint64{
	1486377550546952891,  // a first fact that nobody heard is purged, and the next names none
	10039823521328779423, // who returns to a stream that was made anew comes before the bridge knows
}

// Random scripts of what befalls channels that share a stream, and a model of what
// their readers may be told. A failure prints the seed that repeats the script;
// `go test ./bridge -run Model -model.for 30m` looks for a long time.
func TestModel(t *testing.T) {
	t.Parallel()
	if *modelSeed != 0 {
		runModel(t, *modelSeed)
		return
	}
	for _, seed := range modelFound {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed) })
	}
	until := time.Now().Add(*modelFor)
	for n := 0; n < modelScripts || time.Now().Before(until); n++ {
		seed := uint64(n + 1) // the same ones each time, unless it is to look for others
		if *modelFor > 0 {
			seed = rand.Uint64()
		}
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { runModel(t, seed) }) {
			return
		}
	}
}

func runModel(t *testing.T, seed uint64) {
	m := newModel(t, rand.New(rand.NewPCG(seed, 0)))
	defer func() {
		if t.Failed() {
			t.Logf("-model.seed %d: %s", seed, strings.Join(m.script, "; "))
		}
	}()
	steps := []struct {
		weight int
		run    func()
	}{
		{30, m.write},
		{6, m.purge},
		{4, m.save},
		{6, m.rollBack},
		{1, m.recreate},
		{4, m.cut},
		{4, m.mend},
		{2, m.restartBridge},
		{8, m.come},
		{6, m.leave},
		{6, m.comeBack},
		{6, m.subscribeAgain},
		{8, m.judge},
	}
	total := 0
	for _, step := range steps {
		total += step.weight
	}
	for range modelSteps {
		n := m.IntN(total)
		for _, step := range steps {
			if n -= step.weight; n < 0 {
				step.run()
				break
			}
		}
		if t.Failed() {
			return
		}
	}
	m.judge()
}
