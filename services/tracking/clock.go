package tracking

import (
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

// caughtUp is the track of a device that is not as far behind as it was known to be,
// because it says what would be of the future: its clock was set forward, or another
// device speaks; or it was learned from the oldest of some that come together. The last
// fix was set right by the same clock, and is so much older, too.
func (t Track) caughtUp(now time.Time, said tracking.Report) Track {
	ahead := said.At.Add(milliseconds(t.Behind)).Sub(now)
	if t.Behind == 0 || said.At.IsZero() || ahead <= atOnce || ahead > newest {
		return t
	}
	known := t.Behind
	t.Behind = now.Sub(said.At).Milliseconds()
	if t.Last != nil {
		last := *t.Last
		last.At = last.At.Add(milliseconds(t.Behind - known))
		t.Last = &last
	}
	return t
}

// kept is a fix as it is remembered: by the device's clock, and how far that was
// behind ours when it came.
func (t Track) kept(now time.Time, heard tracking.Fix) tracking.Fix {
	heard.At = heard.At.Add(-milliseconds(t.Behind))
	heard.Behind = now.Sub(heard.At).Milliseconds()
	return heard
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
	if n := len(t.Doubted); n > 0 && !t.mistimed(t.Doubted[n-1]) {
		times = append(times, t.Doubted[n-1].At.Add(milliseconds(t.Behind)))
	}
	return times
}

// mistimed says whether a fix that is kept is of a time so far from ours that it is
// old or the device's clock is wrong.
func (t Track) mistimed(kept tracking.Fix) bool {
	late := kept.Behind - t.Behind
	return late > oldest.Milliseconds() || -late > newest.Milliseconds()
}

// mistime refuses a fix of another time than ours, unless it shows a wrong clock.
func (t Track) mistime(kept tracking.Fix) ([]es.Event, error) {
	if kept.Behind < 0 {
		return t.believe(kept, schemas.Refuse(schemas.InFuture, "the fix is of the future; a clock that is steadily fast will be believed"))
	}
	return t.believe(kept, schemas.Refuse(schemas.Stale, "the fix is older than a minute; a clock that is steadily slow will be believed"))
}

// overtake refuses a fix that is no later than the last one, unless it shows that
// the clock was put back, or that another device's is slow. The last one said again
// is only remembered where it comes in the pace of those before.
func (t Track) overtake(kept tracking.Fix, at time.Time) ([]es.Event, error) {
	if at.Before(t.Last.At) {
		return t.believe(kept, schemas.Refuse(schemas.OutOfOrder, "a later fix is known already; a clock that was put back will be believed"))
	}
	refusal := schemas.Refuse(schemas.Duplicate, "a fix of this time is known already")
	doubted := t.agreed(kept)
	if n := len(doubted); n >= agreeing || n > 1 && kept.At.Sub(doubted[0].At) >= atOnce && steady(doubted[0], kept) {
		return t.believe(kept, refusal)
	}
	return nil, refusal
}

// believe takes a fix of another clock than the last one's if it is the last of some
// that show it: they come in the pace in which they were taken. What a device kept
// while it was offline comes faster than that: it is history, and refused, and so is
// what it says over and over. What is refused is remembered as it was said.
func (t Track) believe(kept tracking.Fix, refusal schemas.Refusal) ([]es.Event, error) {
	doubted := t.agreed(kept)
	switch n := len(t.Doubted); {
	case max(kept.Behind, -kept.Behind) > century, len(doubted) == 0, n > 0 && t.replayed(t.Doubted[n-1], kept):
		return nil, refusal
	case len(doubted) >= agreeing && steady(doubted[0], kept):
		t.Behind = behind(doubted)
		kept.At = kept.At.Add(milliseconds(t.Behind))
		return t.update(kept), nil
	}
	return es.Happens(tracking.CoordsDoubted(kept)), refusal
}

// steady says whether the time from one doubted fix to another passed here as it
// did on the device: half as fast again or half as slow is the network's doing.
func steady(from, to tracking.Fix) bool {
	return milliseconds(to.Behind-from.Behind).Abs() <= to.At.Sub(from.At)/2
}

// replayed says whether a fix comes so fast after another that both were kept. Of a
// thousand that come at once one a second is remembered: they would fill the trail.
func (t Track) replayed(from, to tracking.Fix) bool {
	taken := to.At.Sub(from.At)
	came := taken + milliseconds(to.Behind-from.Behind)
	return t.mistimed(from) == t.mistimed(to) && came < atOnce && came < taken.Abs()/4
}

// behind is how far the clock of the doubted fixes is behind ours, in milliseconds:
// what came fastest knows best.
func behind(doubted []tracking.Fix) int64 {
	least := doubted[0].Behind
	for _, fix := range doubted {
		least = min(least, fix.Behind)
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
