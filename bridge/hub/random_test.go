package hub

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var (
	seed   = flag.Uint64("seed", 1, "of the first round of each random test")
	rounds = flag.Int("rounds", 0, "of each random test; 0 is as many as it usually has")
)

// eachSeed runs a random test with some seeds in a row; the name of a round that
// fails tells the one to give.
func eachSeed(t *testing.T, usually int, round func(t *testing.T, random *rand.Rand)) {
	t.Helper()
	if *rounds > 0 {
		usually = *rounds
	}
	for i := range uint64(usually) {
		t.Run(fmt.Sprintf("-seed %d -rounds 1", *seed+i), func(t *testing.T) {
			round(t, rand.New(rand.NewPCG(*seed+i, 0)))
		})
	}
}

// chance is true in one of so many cases.
func chance(random *rand.Rand, in int) bool { return random.IntN(in) == 0 }

// oneOf picks one.
func oneOf[T any](random *rand.Rand, from ...T) T { return from[random.IntN(len(from))] }
