package tracking

import (
	"math"
	"slices"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
)

const (
	oldest = time.Minute // a fix older than that is history, not a position
	newest = time.Minute // a clock ahead of ours by more is wrong
	// fastest is 324 km/h, in metres per second: faster than any car, train or boat
	// by which an order is served.
	fastest = 90.0
	// vague is the radius, in metres, from which on a fix names a district and no
	// place; a cell tower alone gives as much.
	vague = 1000.0
	// usual is the radius of a fix that does not tell, in metres.
	usual = 25.0
	// coarser is how much worse than the last fix a poor one may be. One of more
	// than poor metres that is worse says nothing new, for as long as blind.
	coarser, poor = 5, 100.0
	blind         = 10 * time.Second
	// still is how far, in metres, nobody has moved, whatever the fix says; turned,
	// in degrees, how far nobody has turned. At least every beat one is told all
	// the same, as a sign of life.
	still, turned = 3.0, 15.0
	beat          = 10 * time.Second
	// agreeing is how many fixes that agree with one another, and not with the last
	// one, show that it was the last one which was wrong.
	agreeing = 3
	// atOnce is how soon after one another fixes are told together: a device that
	// tells no times may have taken them in the course of a minute.
	atOnce = time.Second
)

// report judges a fix by the devices' own times, so that a trace may be replayed
// late. One wild fix decides nothing: the first that cannot follow on the last one
// is doubted, and when others agree with it, it is the last one that was wild.
func report(t Track, m es.Meta, said tracking.Report) ([]es.Event, error) {
	t = t.caughtUp(m.Now, said)
	fix, together := t.heard(m.Now, said)
	kept := t.kept(m.Now, fix)
	switch refusal, bad := t.unfit(m, fix); {
	case bad:
		return nil, refusal
	case t.mistimed(kept):
		return t.mistime(kept)
	case t.Last == nil:
		return t.update(fix), nil
	case t.late(m.Now, fix):
		return t.overtake(kept, fix.At)
	case t.Last.At.Before(fix.At) && (possible(*t.Last, fix) || together && within(*t.Last, fix, oldest)):
		return t.follow(fix)
	}
	return t.doubt(fix, kept)
}

// unfit refuses what no other fix can make good.
func (t Track) unfit(m es.Meta, fix tracking.Fix) (schemas.Refusal, bool) {
	switch {
	case !t.Opened || m.From != t.Operator:
		return forbidden, true
	case t.Closed:
		return schemas.Refuse(schemas.Closed, "the tracking is closed"), true
	case radius(fix) > vague:
		return schemas.Refuse(schemas.Inaccurate, "the fix is not accurate to %.0f m", vague), true
	case fix.Lat == 0 && fix.Lng == 0:
		return schemas.Refuse(schemas.Implausible, "a device that knows no place says 0, 0"), true
	}
	return schemas.Refusal{}, false
}

// late says whether a fix was overtaken. A last fix that is ahead of our clock
// overtakes nobody: it may be the wild one.
func (t Track) late(now time.Time, fix tracking.Fix) bool {
	return fix.At.Equal(t.Last.At) || fix.At.Before(t.Last.At) && !t.Last.At.After(now)
}

// follow takes a fix that can be. What says nothing new is so already: nobody is
// refused for standing still.
func (t Track) follow(fix tracking.Fix) ([]es.Event, error) {
	elapsed := fix.At.Sub(t.Last.At)
	if r := radius(fix); r > poor && r > coarser*radius(*t.Last) && elapsed < blind {
		return nil, schemas.Refuse(schemas.Inaccurate, "a better fix is known already")
	}
	if len(t.Doubted) == 0 && elapsed < beat && metres(*t.Last, fix) <= still && !turns(*t.Last, fix) {
		return nil, nil
	}
	return t.update(fix), nil
}

// doubt takes a fix that cannot follow on the last one if it is the last of some
// that agree with one another. Otherwise it is remembered, and refused.
func (t Track) doubt(fix, kept tracking.Fix) ([]es.Event, error) {
	refusal := schemas.Refuse(schemas.Implausible, "nothing gets there so fast, at %.0f m/s at most; fixes that agree will be believed", fastest)
	doubted := t.agreed(kept)
	switch {
	case len(doubted) == 0:
		return nil, refusal
	case len(doubted) >= agreeing:
		return t.update(fix), nil
	}
	return es.Happens(tracking.CoordsDoubted(kept)), refusal
}

// agreed are the doubted fixes with one more that agrees with the newest of them,
// or that one alone. It is none when the fix is no later than they are.
func (t Track) agreed(fix tracking.Fix) []tracking.Fix {
	if len(t.Doubted) == 0 {
		return []tracking.Fix{fix}
	}
	newest := t.Doubted[len(t.Doubted)-1]
	elapsed := fix.At.Sub(newest.At)
	if elapsed < atOnce {
		elapsed = oldest
	}
	switch {
	case t.mistimed(fix) != t.mistimed(newest) && !steady(newest, fix):
		return []tracking.Fix{fix} // one of them is of another clock
	case fix.At.Equal(newest.At):
		return nil // the same again agrees with nobody
	case newest.At.Before(fix.At) && within(newest, fix, elapsed):
		return append(slices.Clone(t.Doubted[max(0, len(t.Doubted)-agreeing+1):]), fix)
	}
	return []tracking.Fix{fix}
}

// possible says whether something moves from one fix to another in the time
// between them.
func possible(from, to tracking.Fix) bool { return within(from, to, to.At.Sub(from.At)) }

// within says whether something moves from one fix to another in so much time.
// Each may be as far off as its accuracy: over a short time that is most of it.
func within(from, to tracking.Fix, elapsed time.Duration) bool {
	return metres(from, to)-radius(from)-radius(to) <= fastest*elapsed.Seconds()
}

// radius is a fix's accuracy.
func radius(fix tracking.Fix) float64 {
	if fix.Accuracy == nil {
		return usual
	}
	return *fix.Accuracy
}

// turns says whether both fixes tell a heading, and another.
func turns(from, to tracking.Fix) bool {
	if from.Heading == nil || to.Heading == nil {
		return to.Heading != nil
	}
	return math.Abs(math.Remainder(*to.Heading-*from.Heading, 360)) > turned
}

// metres is the distance over a spherical Earth (haversine).
func metres(from, to tracking.Fix) float64 {
	const radius, degree = 6_371_000, math.Pi / 180
	north, east := math.Sin((to.Lat-from.Lat)*degree/2), math.Sin((to.Lng-from.Lng)*degree/2)
	h := north*north + math.Cos(from.Lat*degree)*math.Cos(to.Lat*degree)*east*east
	return 2 * radius * math.Asin(math.Sqrt(min(1, h)))
}
