package tracking

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
)

// moving is where something is, of so many metres per second, after a while.
func moving(speed float64, elapsed time.Duration) tracking.Report {
	accuracy := 5.0
	return tracking.Report{Lat: -12 + speed*elapsed.Seconds()/111_195, Lng: -77, Accuracy: &accuracy}
}

// A clock that is put back or forward by less than what makes a fix stale costs no
// more than two fixes, however fast they come and whatever they are of; and so does a
// second device with such a clock that goes on where the first ended.
func TestClockIsPutBack(t *testing.T) {
	t.Parallel()
	for _, wrong := range []time.Duration{0, 20 * time.Second, -20 * time.Second, 5 * time.Minute, -5 * time.Minute} {
		for _, step := range []float64{-0.9, -2, -4, -8, -15, -30, -45, -59, 2, 4, 8, 15, 30, 38, 59} {
			for _, pace := range []time.Duration{200 * time.Millisecond, time.Second, 5 * time.Second, 700 * time.Millisecond} {
				for _, speed := range []float64{0, 1.5, 15, 35} {
					putBack(t, wrong, time.Duration(step*float64(time.Second)), pace, speed)
				}
			}
		}
	}
}

func putBack(t *testing.T, wrong, step, pace time.Duration, speed float64) {
	t.Helper()
	r, elapsed, run := begin(), time.Duration(0), 0
	told, random := r.now, rand.New(rand.NewPCG(3, 4))
	for i := range 240 {
		elapsed += pace
		r.now = r.now.Add(pace)
		fix := moving(speed, elapsed)
		fix.At = r.now.Add(wrong - 60*time.Millisecond - time.Duration(random.Int64N(int64(pace/5))))
		if i >= 60 && i < 120 || i >= 180 {
			fix.At = fix.At.Add(step)
		}
		isTold, code := r.report(fix)
		run++
		if code == 0 {
			run = 0
		}
		if isTold {
			told = r.now
		}
		if run >= agreeing {
			t.Errorf("clock %v, step %v, every %v, %v m/s: number %d is the third that is refused, as %s", wrong, step, pace, speed, i, code.Reason())
			return
		}
	}
	if r.now.Sub(told) > beat+pace || speed > 0 && metres(*r.track.Last, of(moving(speed, elapsed))) > still+speed*pace.Seconds() {
		t.Errorf("clock %v, step %v, every %v, %v m/s: the position is %v at %v", wrong, step, pace, speed, *r.track.Last, r.now)
	}
}

// What a device kept and sends behind its newest fix is overtaken, however fast it
// comes, and moves nothing; what is taken after it counts.
func TestKeptBehindTheNewest(t *testing.T) {
	t.Parallel()
	for _, pace := range []time.Duration{0, 5 * time.Millisecond, 100 * time.Millisecond, 400 * time.Millisecond} {
		r := begin()
		newest := moving(15, 30*time.Second)
		newest.At = r.now
		r.report(newest)
		began := r.now
		for i := range 30 {
			r.now = r.now.Add(pace)
			fix := moving(15, time.Duration(i)*time.Second)
			fix.At = began.Add(time.Duration(i-30) * time.Second)
			if told, code := r.report(fix); told || code != schemas.OutOfOrder {
				t.Fatalf("pace %v: number %d of the kept fixes is told (%v) or refused as %s", pace, i, told, code.Reason())
			}
		}
		r.now = r.now.Add(time.Second)
		live := moving(15, 30*time.Second+r.now.Sub(began))
		live.At = r.now
		if told, code := r.report(live); !told {
			t.Errorf("pace %v: what is taken after it is refused as %s", pace, code.Reason())
		}
	}
}

// Two devices of one operator whose clocks differ hide nothing of each other's for
// longer than while the other's is the position, and none of them is of the future.
func TestTwoDevices(t *testing.T) {
	t.Parallel()
	for _, slow := range []time.Duration{5 * time.Second, 30 * time.Second, 59 * time.Second, 5 * time.Minute} {
		r := begin()
		began, told := r.now, 0
		for i := range 300 {
			r.now = r.now.Add(200 * time.Millisecond)
			fix := moving(15, r.now.Sub(began))
			fix.At = r.now.Add(-50 * time.Millisecond)
			if i%5 > 0 {
				fix.At = fix.At.Add(-slow)
			}
			isTold, _ := r.report(fix)
			if isTold {
				told++
			}
			if r.track.Last != nil && r.track.Last.At.Sub(r.now) > atOnce {
				t.Fatalf("%v slow: at %v the position is of %v", slow, r.now, r.track.Last.At)
			}
		}
		if told < 60 {
			t.Errorf("%v slow: %d fixes are told", slow, told)
		}
	}
}
