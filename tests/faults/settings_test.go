package faults

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/latido/latido/tests/kit"
)

// The settings of a run, each also by LATIDO_FAULTS_<NAME>.
var (
	seed     = flag.Uint64("seed", fromEnvironment("SEED", parseSeed, 1), "what every random draw follows from")
	size     = flag.Int("size", fromEnvironment("SIZE", strconv.Atoi, 500), "how many presences a bridge is killed with")
	duration = flag.Duration("duration", fromEnvironment("DURATION", time.ParseDuration, 10*time.Second), "how long the NATS server is restarted again and again")
	idle     = flag.Duration("idle", fromEnvironment("IDLE", time.ParseDuration, 3*time.Second), "how long the writes of idle members are counted")
	rounds   = flag.Int("rounds", fromEnvironment("ROUNDS", strconv.Atoi, 2), "how often a fresh cluster starts, and a server crashes while it makes its streams")
	runs     = flag.Int("runs", fromEnvironment("RUNS", strconv.Atoi, 2), "how often a quorum is lost")
	skew     = flag.Duration("skew", fromEnvironment("SKEW", time.ParseDuration, 0), "by how much bridges' clocks are wrong; the program is built anew for it, which takes a minute")
)

func parseSeed(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) }

func fromEnvironment[T any](name string, parse func(string) (T, error), otherwise T) T {
	value, err := parse(cmp.Or(os.Getenv("LATIDO_FAULTS_"+name), "-"))
	if err != nil {
		return otherwise
	}
	return value
}

// atOnce is how many tests run at a time unless -parallel says otherwise: they
// wait for leases and graces and leave the processor to others.
const atOnce = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err) // go test has this flag
	}
	flag.Parse()
	code := m.Run()
	table.print(os.Stdout)
	if err := kit.RemovePrograms(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}
