package tracking

import (
	"cmp"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
)

// century is how far, in milliseconds, no clock is off, as the schema says.
const century = 4_000_000_000_000

// heard is the fix that was said, by our clock. A device whose clock is known to be
// wrong is set right; one that tells no time took it now. Such a one may be told
// together with the last: it comes after that one, and the time between them says
// nothing.
func (t Track) heard(now time.Time, said tracking.Report) (fix tracking.Fix, together bool) {
	fix = of(said)
	if !said.At.IsZero() {
		fix.At = said.At.Add(milliseconds(t.Behind))
		return fix, false
	}
	fix.At = now
	for _, known := range t.known() {
		if since := fix.At.Sub(known); since.Abs() < atOnce {
			together = true
			fix.At = later(fix.At, known.Add(time.Millisecond))
		}
	}
	return fix, together
}

// update makes a fix the position.
func (t Track) update(fix tracking.Fix) []es.Event {
	fix.Behind = t.Behind
	return es.Happens(tracking.CoordsUpdate(fix))
}

// of is a fix by the device's own clock.
func of(said tracking.Report) tracking.Fix {
	return tracking.Fix{
		Lat: said.Lat, Lng: said.Lng, Heading: said.Heading, Speed: said.Speed, Accuracy: said.Accuracy, At: said.At,
	}
}

// known are the times, by our clock, that the next fix has to come after.
func (t Track) known() (times []time.Time) {
	if t.Last != nil {
		times = append(times, t.Last.At)
	}
	if n := len(t.Doubted); n > 0 && t.Doubted[n-1].Behind == 0 {
		times = append(times, t.Doubted[n-1].At)
	}
	return times
}

// mistimed says whether a time is so far from ours that the fix is old or the
// device's clock is wrong.
func mistimed(now, at time.Time) bool { return now.Sub(at) > oldest || at.Sub(now) > newest }

// mistime takes a fix of another time than ours if it is the last of some that
// show a wrong clock: they come in the pace in which they were taken. What a device
// kept while it was offline comes faster than that: it is history, and refused, and
// so is what it says over and over. What is refused is remembered as it was said.
func (t Track) mistime(now time.Time, said tracking.Report) ([]es.Event, error) {
	fix := of(said)
	fix.Behind = cmp.Or(now.Sub(fix.At).Milliseconds(), 1) // none is of our clock
	refusal := schemas.Refuse(schemas.Stale, "the fix is older than a minute; a clock that is steadily slow will be believed")
	if fix.Behind < 0 {
		refusal = schemas.Refuse(schemas.InFuture, "the fix is of the future; a clock that is steadily fast will be believed")
	}
	doubted := agreed(t.Doubted, fix)
	switch n := len(t.Doubted); {
	case max(fix.Behind, -fix.Behind) > century, len(doubted) == 0, n > 0 && replayed(t.Doubted[n-1], fix):
		return nil, refusal
	case len(doubted) >= agreeing && steady(doubted[0], fix):
		t.Behind = behind(doubted)
		if told, _ := t.heard(now, said); !mistimed(now, told.At) {
			return t.update(told), nil
		}
	}
	return es.Happens(tracking.CoordsDoubted(fix)), refusal
}

// steady says whether the time from one doubted fix to another passed here as it
// did on the device: half as fast again or half as slow is the network's doing.
func steady(from, to tracking.Fix) bool {
	return milliseconds(to.Behind-from.Behind).Abs() <= to.At.Sub(from.At)/2
}

// replayed says whether a fix comes so fast after another that both were kept. Of a
// thousand that come at once one a second is remembered: they would fill the trail.
func replayed(from, to tracking.Fix) bool {
	taken := to.At.Sub(from.At)
	came := taken + milliseconds(to.Behind-from.Behind)
	return from.Behind != 0 && came < atOnce && came < taken.Abs()/4
}

// behind is how far the clock of the doubted fixes is behind ours, in milliseconds:
// what came fastest knows best. One that is right within half a minute is right.
func behind(doubted []tracking.Fix) int64 {
	least := doubted[0].Behind
	for _, fix := range doubted {
		least = min(least, fix.Behind)
	}
	if milliseconds(least).Abs() < oldest/2 {
		return 0
	}
	return least
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
