package session

import (
	"testing"
	"time"
)

// habit is how a simulated client behaves. It is connected at second 1.
type habit struct {
	told   int64 // bytes per second that it is told
	reads  int64 // bytes per second that it reads; 0 for all there are
	talks  int   // says something each so many seconds; 0 for never
	mute   int   // does not answer after that second; 0 for always
	thinks int   // seconds until it answers what it has read
	cut    int   // the line is dead after that second; 0 for never
	deaf   [2]int
	asleep [2]int // seconds in which the bridge does not run
}

// live runs a habit for some seconds and returns in which one its session was
// ended, or 0, and when it was asked.
func (h habit) live(seconds int) (gone int, asks []int) {
	const ping = 25 * time.Second
	var p pulse
	second := func(n int) time.Duration { return time.Duration(n) * time.Second }
	seen := signs{heard: second(1), told: second(1)}
	type question struct{ at, answer int64 }
	var open []question
	var read int64
	for now := 2; now <= seconds; now++ {
		reached := h.cut == 0 || now < h.cut
		if h.told > 0 {
			seen.sent, seen.told = seen.sent+h.told, second(now)
		}
		if reached {
			read += h.reads
			if h.reads == 0 || read > seen.sent {
				read = seen.sent
			}
		}
		for i := range open {
			if read >= open[i].at && open[i].answer == 0 {
				open[i].answer = int64(now + h.thinks)
			}
		}
		answers := reached && (h.mute == 0 || now < h.mute)
		for answers && len(open) > 0 && open[0].answer > 0 && int64(now) >= open[0].answer {
			open = open[1:]
			seen.heard, seen.ponged = second(now), second(now)
		}
		if reached && h.talks > 0 && now%h.talks == 0 {
			seen.heard = second(now)
		}
		if h.asleep[0] <= now && now < h.asleep[1] {
			continue
		}
		if now == h.asleep[1] {
			p.excuse(second(h.asleep[1]-h.asleep[0]), seen.heard)
		}
		seen.deaf = h.deaf[0] <= now && now < h.deaf[1]
		switch p.judge(second(now), ping, seen) {
		case stepAsk:
			asks = append(asks, now)
			seen.sent, seen.told = seen.sent+10, second(now)
			open = append(open, question{at: seen.sent})
		case stepDoubt:
			if !reached {
				return now, asks
			}
		case stepGone:
			return now, asks
		case stepNone:
		}
	}
	return 0, asks
}

func TestPulse(t *testing.T) {
	t.Parallel()
	const (
		long = 600
		// silence is how long a peer may be silent, in seconds: with a grace of ten
		// it is gone within 45.
		silence = 35
	)
	for name, test := range map[string]struct {
		habit
		gone bool
		by   int // at the latest; 0 for the silence
	}{
		"idle":                                  {habit: habit{}},
		"listens on a busy channel":             {habit: habit{told: 2000}},
		"listens on a very busy channel":        {habit: habit{told: 1 << 20}},
		"talks and is told nothing":             {habit: habit{talks: 3}},
		"talks and listens":                     {habit: habit{talks: 3, told: 5000}},
		"reads 1,000 of 10,000 bytes a second":  {habit: habit{told: 10_000, reads: 1000}},
		"reads 1,000 of 1,200 bytes a second":   {habit: habit{told: 1200, reads: 1000}},
		"reads slowly and talks":                {habit: habit{told: 10_000, reads: 1000, talks: 7}},
		"answers after nine seconds":            {habit: habit{thinks: 8, told: 100}},
		"its requests are not read for minutes": {habit: habit{deaf: [2]int{10, 400}, told: 100}},
		"the bridge stood still":                {habit: habit{thinks: 5, asleep: [2]int{20, 300}}},
		"idle and mute":                         {habit: habit{mute: 2}, gone: true},
		"idle and cut":                          {habit: habit{cut: 2}, gone: true},
		"mute on a channel":                     {habit: habit{mute: 2, told: 150}, gone: true},
		"mute after a talk":                     {habit: habit{mute: 2, talks: 3, told: 0, cut: 100}, gone: true, by: 100 + silence},
		"cut on a very busy channel":            {habit: habit{told: 1 << 20, cut: 300}, gone: true, by: 300 + silence},
		"cut while reading slowly":              {habit: habit{told: 10_000, reads: 1000, cut: 300}, gone: true, by: 300 + silence},
		"mute on a busier channel":              {habit: habit{told: 2700, mute: 2}, gone: true},
		"mute on a busy channel, later":         {habit: habit{told: 5000, mute: 300}, gone: true, by: 300 + silence},
		"mute behind much":                      {habit: habit{told: 10_000, mute: 300}, gone: true, by: 300 + 60},
	} {
		for range 20 { // the intervals are drawn
			gone, asks := test.live(long)
			if test.by == 0 {
				test.by = silence
			}
			switch {
			case !test.gone && gone > 0:
				t.Fatalf("%s: ended after %d s, asked at %v", name, gone, asks)
			case test.gone && (gone == 0 || gone > test.by):
				t.Fatalf("%s: ended after %d s instead of at most %d, asked at %v", name, gone, test.by, asks)
			}
			for i, at := range asks {
				if before := append([]int{1}, asks...)[i]; !test.gone && test.reads == 0 && test.deaf[1] == 0 && test.asleep[1] == 0 && at-before > 35 {
					t.Fatalf("%s: not asked between %d and %d s", name, before, at)
				}
			}
		}
	}
}

// Sessions that began together are not asked together.
func TestPulseIsSpread(t *testing.T) {
	t.Parallel()
	const sessions = 1000
	at := map[int]int{}
	for range sessions {
		_, asks := habit{}.live(30)
		at[asks[0]]++
	}
	for second, count := range at {
		if count > sessions/8 {
			t.Errorf("%d of %d are asked in second %d", count, sessions, second)
		}
	}
}
