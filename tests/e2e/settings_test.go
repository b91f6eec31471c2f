package e2e

import (
	"cmp"
	"errors"
	"flag"
	"os"
	"strconv"
	"testing"
	"time"
)

// The settings of the replays, each also by LATIDO_E2E_<NAME>.
var (
	seed     = flag.Uint64("seed", fromEnvironment("SEED", parseSeed, 1), "what every random draw follows from")
	size     = flag.Float64("size", fromEnvironment("SIZE", parseSize, 0.2), "the part of the recordings to replay, 0 to 1")
	duration = flag.Duration("duration", fromEnvironment("DURATION", time.ParseDuration, 8*time.Second), "how long the recordings are replayed; the replay on the cluster takes twice as long")
	kills    = flag.Int("kills", fromEnvironment("KILLS", strconv.Atoi, 3), "how many leaders are killed in the cluster")
)

func parseSeed(s string) (uint64, error)  { return strconv.ParseUint(s, 10, 64) }
func parseSize(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func fromEnvironment[T any](name string, parse func(string) (T, error), otherwise T) T {
	value, err := parse(cmp.Or(os.Getenv("LATIDO_E2E_"+name), "-"))
	if err != nil {
		return otherwise
	}
	return value
}

// settings of one replay; -short makes it smaller unless the size was given.
type settings struct {
	size     float64
	duration time.Duration
	kills    int
}

func chosen() settings {
	s := settings{*size, *duration, *kills}
	if testing.Short() {
		s.size, s.duration, s.kills = min(s.size, 0.05), min(s.duration, 4*time.Second), min(s.kills, 1)
	}
	return s
}

// atOnce is how many tests run beside one another: they wait more than they
// compute, whatever the number of processors.
const atOnce = "6"

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", atOnce) // a later -parallel on the command line wins
	flag.Parse()
	code := m.Run()
	printSummary(os.Stdout)
	os.Exit(code)
}

func recordings(t *testing.T) string {
	t.Helper()
	folder, err := Recordings()
	if errors.Is(err, ErrNoRecordings) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return folder
}
