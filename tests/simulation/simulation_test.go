package simulation

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var (
	seed     = flag.Uint64("seed", 0, "of the one history to run, with its trace; 0 is many")
	file     = flag.String("script", "", "of the one history to run, with its trace")
	from     = flag.Uint64("from", 1, "seed of the first of many histories")
	simulate = flag.Duration("simulate", 0, "for how long histories are run, and at least as many as without it")
)

// least is how many histories are run at least: enough that all is reached that is
// worth it.
const least = 100

// TestHistories runs histories, each of the seed behind the last one's.
func TestHistories(t *testing.T) {
	if *file != "" {
		runFile(t, *file, os.Stdout)
		return
	}
	if *seed > 0 {
		run(t, newScript(*seed), os.Stdout, marks{})
		return
	}
	t.Logf("from seed %d on", *from)
	seen := marks{}
	began, simulated, histories := time.Now(), time.Duration(0), uint64(0)
	for ; (histories < least || time.Since(began) < *simulate) && !t.Failed(); histories++ {
		simulated += run(t, newScript(*from+histories), nil, seen)
	}
	took := time.Since(began)
	t.Logf("%d histories, %.1f hours in %.1f s: %.0f in an hour", histories, simulated.Hours(), took.Seconds(), simulated.Seconds()/took.Seconds())
	for _, what := range sometimes {
		if seen[what] == 0 && !t.Failed() {
			t.Errorf("it never came to this: %s", what)
		}
	}
}

// TestTheSameSeed holds that a history is the same whenever it is run.
func TestTheSameSeed(t *testing.T) {
	for s := range uint64(20) {
		var first, second bytes.Buffer
		newWorld(newScript(s), &first, marks{}).run()
		newWorld(newScript(s), &second, marks{}).run()
		if first.Len() == 0 || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Errorf("seed %d: two traces", s)
		}
	}
}

// TestScripts runs the histories in which a promise was once broken.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) { runFile(t, name, nil) })
	}
}

func runFile(t *testing.T, name string, trace io.Writer) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	s, err := readScript(f)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s, trace, marks{})
}

// run runs one history, and says how long it was. When it breaks a promise the shortest
// script that does is printed.
func run(t *testing.T, s script, trace io.Writer, m marks) time.Duration {
	t.Helper()
	w := newWorld(s, trace, m)
	d := w.run()
	broken, is := errors.AsType[*breach](w.broken)
	if !is {
		return d
	}
	short := shrink(s, broken.promise)
	t.Errorf("%v\n%d events are enough; put them into a file and run it with -script:\n%v", broken, len(short.events), short)
	return d
}
