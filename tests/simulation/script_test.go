package simulation

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// script is what happens in a history, and the seed of how long all takes that follows.
type script struct {
	seed   uint64
	events []event
}

// event is something that happens: a verb and who or how much it is about.
type event struct {
	at   time.Duration
	verb string
	a, b int
}

func (e event) String() string { return fmt.Sprintf("%s %d %d", e.verb, e.a, e.b) }

// verbs are what can happen, how often it does, and of how many a and b are.
var verbs = []struct {
	verb   string
	weight int
	a, b   int
}{
	{"publish", 60, len(channels), 2},       // on channel a, with a check of its predecessor (b)
	{"burst", 4, len(channels), 60},         // b of them
	{"lose", 6, bridgeCount, 3},             // the next 1+b messages to a bridge
	{"double", 4, bridgeCount, 1},           // the next one
	{"swap", 4, bridgeCount, 1},             // the next one comes behind others
	{"cut", 3, bridgeCount, 20},             // the link of a bridge, for b seconds
	{"lag", 3, 8, 1},                        // replicas lack the newest a messages
	{"lead", 2, 3, 1},                       // another leader: the next a messages are not republished
	{"purge", 2, 100, 1},                    // the oldest a percent of the stream
	{"clear", 2, len(channels), 4},          // a channel, but for b facts
	{"save", 1, 1, 1},                       // the store
	{"rollback", 1, 2, 40},                  // to what was saved, noticed by who declares it (a); b facts follow
	{"recreate", 1, 1, 10},                  // the stream, with b facts
	{"join", 12, browserCount, bridgeCount}, // a browser, to a bridge
	{"leave", 8, browserCount, 1},
	{"slow", 4, browserCount, 10000}, // a browser takes nothing for b milliseconds
	{"die", 1, bridgeCount, 1},       // a bridge, and is there again
}

// newScript makes one up.
func newScript(seed uint64) script {
	random := rand.New(rand.NewPCG(seed, 0))
	all := 0
	for _, v := range verbs {
		all += v.weight
	}
	s := script{seed: seed}
	var at time.Duration
	for range 20 + random.IntN(180) {
		if random.IntN(3) > 0 {
			at += time.Duration(random.Int64N(int64(50 * time.Millisecond)))
		} else {
			at += time.Duration(random.Int64N(int64(15 * time.Second)))
		}
		pick := random.IntN(all)
		for _, v := range verbs {
			if pick -= v.weight; pick < 0 {
				s.events = append(s.events, event{at.Truncate(time.Microsecond), v.verb, random.IntN(v.a), random.IntN(v.b)})
				break
			}
		}
	}
	return s
}

func (s script) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "seed %d\n", s.seed)
	for _, e := range s.events {
		fmt.Fprintf(&text, "%.6f %v\n", e.at.Seconds(), e)
	}
	return text.String()
}

// readScript reads what String has written.
func readScript(r io.Reader) (s script, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if _, err := fmt.Sscanf(line, "seed %d", &s.seed); err == nil {
			continue
		}
		var e event
		var seconds float64
		if _, err := fmt.Sscanf(line, "%g %s %d %d", &seconds, &e.verb, &e.a, &e.b); err != nil {
			return s, fmt.Errorf("%q: %w", line, err)
		}
		e.at = time.Duration(seconds*1e6+0.5) * time.Microsecond
		s.events = append(s.events, e)
	}
	return s, lines.Err()
}

// shrink leaves out events as long as the same promise is broken.
func shrink(s script, promise string) script {
	for size := max(1, len(s.events)/2); size > 0; size /= 2 {
		for from := 0; from < len(s.events); {
			less := script{seed: s.seed, events: slices.Delete(slices.Clone(s.events), from, min(from+size, len(s.events)))}
			if broken := breaks(less); broken != nil && broken.promise == promise {
				s = less
			} else {
				from += size
			}
		}
	}
	return s
}

// breaks is the promise that a history breaks, or nil.
func breaks(s script) *breach {
	w := newWorld(s, nil, marks{})
	w.run()
	broken, _ := errors.AsType[*breach](w.broken)
	return broken
}
