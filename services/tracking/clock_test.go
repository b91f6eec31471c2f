package tracking

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
)

// drive says where a car is after so many fixes, a second each.
func drive(i int) tracking.Report {
	return tracking.Report{Lat: -12 + float64(i)*0.0001, Lng: -77}
}

// A wrong clock is found out within three fixes, and the position has our time.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{
		"five minutes slow": -5 * time.Minute, "five minutes fast": 5 * time.Minute,
		"a little too slow": -61 * time.Second, "never set": -20 * 365 * 24 * time.Hour, "a day fast": 24 * time.Hour,
	} {
		random := rand.New(rand.NewPCG(1, 2))
		r := begin()
		for i := range 100 {
			r.now = r.now.Add(time.Second)
			fix := drive(i)
			fix.At = r.now.Add(ahead - time.Duration(random.IntN(400))*time.Millisecond)
			told, code := r.report(fix)
			switch {
			case i < agreeing-1 && code != schemas.Stale && code != schemas.InFuture:
				t.Errorf("%s: number %d is %s", name, i, code.Reason())
			case i >= agreeing-1 && !told:
				t.Fatalf("%s: number %d is refused as %s", name, i, code.Reason())
			case told && r.now.Sub(r.track.Last.At).Abs() > time.Second:
				t.Fatalf("%s: number %d is told as of %v at %v", name, i, r.track.Last.At, r.now)
			}
		}
	}
}

// A clock that was wrong and is set, or goes wrong on the way, costs two fixes.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	r, refused := begin(), 0
	for i := range 120 {
		r.now = r.now.Add(time.Second)
		fix := drive(i)
		fix.At = r.now.Add([]time.Duration{0, -5 * time.Minute, 0, 3 * time.Hour}[i/30] - 50*time.Millisecond)
		if _, code := r.report(fix); code != 0 {
			refused++
		}
	}
	if want := 3 * (agreeing - 1); refused != want {
		t.Errorf("%d fixes were refused, want %d", refused, want)
	}
	if r.track.Last.Lat != drive(119).Lat {
		t.Errorf("the position is %v, want that of the last fix", *r.track.Last)
	}
}

// No clock is centuries off.
func TestNoTime(t *testing.T) {
	t.Parallel()
	r := begin()
	for i := range 10 {
		r.now = r.now.Add(time.Second)
		fix := drive(i)
		fix.At = time.Date([]int{2, 9000}[i/5], 1, 1, 0, 0, i, 0, time.UTC)
		if told, code := r.report(fix); told || code == 0 || len(r.track.Doubted) > 0 {
			t.Fatalf("a fix of %v is told or remembered", fix.At)
		}
	}
}

// What a device kept while it was offline does not become the position, however
// wrong its clock is and however fast it is sent, and does not fill the trail; what
// comes after it does.
func TestKeptFixes(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, -5 * time.Minute, 5 * time.Minute} {
		for _, pace := range []time.Duration{0, time.Millisecond, 100 * time.Millisecond, 300 * time.Millisecond} {
			r := begin()
			for i := range 10 {
				r.now = r.now.Add(time.Second)
				fix := drive(i)
				fix.At = r.now.Add(ahead)
				r.report(fix)
			}
			last := *r.track.Last
			from, stored := r.now, 0
			r.now = r.now.Add(time.Hour)
			for i := range 1000 {
				r.now = r.now.Add(pace)
				fix := drive(10 + i)
				fix.At = from.Add(ahead + time.Duration(i+1)*time.Second)
				before := len(r.track.Doubted)
				told, code := r.report(fix)
				if told || code == 0 {
					t.Fatalf("clock %v, pace %v: number %d of the kept fixes is the position", ahead, pace, i)
				}
				if len(r.track.Doubted) != before || len(r.track.Doubted) > 0 && r.track.Doubted[len(r.track.Doubted)-1].At.Equal(fix.At) {
					stored++
				}
			}
			if most := int(1000*pace/time.Second) + agreeing; pace < time.Second/4 && stored > most {
				t.Errorf("clock %v, pace %v: %d kept fixes are stored, want %d at most", ahead, pace, stored, most)
			}
			if *r.track.Last != last {
				t.Errorf("clock %v, pace %v: the position moved to %v", ahead, pace, *r.track.Last)
			}
			for i := range agreeing {
				r.now = r.now.Add(time.Second)
				fix := drive(1010 + i)
				fix.At = r.now.Add(ahead)
				r.report(fix)
			}
			if r.track.Last.Lat != drive(1010+agreeing-1).Lat {
				t.Errorf("clock %v, pace %v: the live fixes after it are not told", ahead, pace)
			}
		}
	}
}

// A device that says one old fix over and over has no wrong clock.
func TestOldFixOverAndOver(t *testing.T) {
	t.Parallel()
	r := begin()
	fix := drive(0)
	fix.At = r.now.Add(-time.Hour)
	for range 100 {
		r.now = r.now.Add(time.Second)
		if told, code := r.report(fix); told || code != schemas.Stale {
			t.Fatalf("an old fix is told (%v) or refused as %s", told, code.Reason())
		}
	}
}

// Of fixes without a time that come at once the last is the position, even where
// two replicas whose clocks differ hear them.
func TestFixesWithoutTimeAtOnce(t *testing.T) {
	t.Parallel()
	for name, gap := range map[string]func(i int) time.Duration{
		"in one instant": func(int) time.Duration { return 0 },
		"one by one":     func(int) time.Duration { return 5 * time.Millisecond },
		"two clocks":     func(i int) time.Duration { return time.Duration(1-i%2*2) * 20 * time.Millisecond },
	} {
		for _, apart := range []float64{2, 20, 200, 2000} {
			for _, before := range []time.Duration{0, 5 * time.Second, time.Hour} {
				r, refused := begin(), 0
				if before > 0 {
					r.report(tracking.Report{Lat: -12.1, Lng: -77})
					r.now = r.now.Add(before)
				}
				var last tracking.Report
				for i := range 10 {
					r.now = r.now.Add(gap(i))
					last = tracking.Report{Lat: -12 + float64(i)*apart/111_195, Lng: -77}
					if _, code := r.report(last); code != 0 {
						refused++
					}
				}
				if off := metres(*r.track.Last, of(last)); off > still {
					t.Errorf("%s, %.0f m apart, %v after the one before: the position is %.0f m from the last fix", name, apart, before, off)
				}
				if refused >= agreeing {
					t.Errorf("%s, %.0f m apart, %v after the one before: %d were refused", name, apart, before, refused)
				}
			}
		}
	}
}

// A device with a wrong clock that tells its fixes by batches is believed from the third
// batch on, and then loses none.
func TestWrongClockInBatches(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, -time.Hour, time.Hour, -2 * time.Minute, 2 * time.Minute} {
		for _, size := range []int{1, 2, 5, 10, 30} {
			r := begin()
			began, random := r.now, rand.New(rand.NewPCG(1, 2))
			for batch := range 20 {
				sent := began.Add(time.Duration((batch+1)*size) * time.Second)
				r.now = sent
				for i := range size {
					fix := drive(batch*size + i)
					fix.Accuracy = new(8.0)
					fix.At = sent.Add(ahead - time.Duration(size-1-i)*time.Second)
					r.now = r.now.Add(time.Duration(random.IntN(9)) * time.Millisecond)
					if _, code := r.report(fix); code != 0 && (ahead == 0 || batch >= agreeing) {
						t.Errorf("clock %v, batches of %d: number %d of batch %d is refused as %s", ahead, size, i, batch, code.Reason())
					}
				}
			}
			if r.now.Sub(r.track.Last.At).Abs() > 2*time.Second {
				t.Errorf("clock %v, batches of %d: the position is of %v at %v", ahead, size, r.track.Last.At, r.now)
			}
		}
	}
}
