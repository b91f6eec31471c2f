package e2e

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/latido/latido/schemas/tracking"
)

// Fix is one line of a cab's trace.
type Fix struct {
	Lat, Lng float64
	Occupied bool
	At       time.Time
}

// ParseTrace reads a cab's fixes, oldest first.
func ParseTrace(r io.Reader) ([]Fix, error) {
	var fixes []Fix
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		var fix Fix
		var occupied, seconds int64
		if _, err := fmt.Sscan(scanner.Text(), &fix.Lat, &fix.Lng, &occupied, &seconds); err != nil {
			return nil, fmt.Errorf("trace line %d: %w", len(fixes)+1, err)
		}
		fix.Occupied, fix.At = occupied == 1, time.Unix(seconds, 0)
		fixes = append(fixes, fix)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	return fixes, nil
}

// Days cuts a trace by days of 24 hours: each (cab, day) serves as an operator.
func Days(fixes []Fix) [][]Fix {
	return cutWhere(fixes, func(before, fix Fix) bool { return before.At.Unix()/86400 != fix.At.Unix()/86400 })
}

const (
	longestGap = 10 * time.Minute // between two fixes of one leg
	longestLeg = 15 * time.Minute
)

// Legs cuts a day where a passenger gets in or out, where the cab was not heard
// of for long, and before a leg gets longer than can be told in a minute.
func Legs(day []Fix) [][]Fix {
	var legs [][]Fix
	for _, run := range cutWhere(day, func(before, fix Fix) bool {
		return before.Occupied != fix.Occupied || fix.At.Sub(before.At) > longestGap
	}) {
		for len(run) > 0 {
			end := slices.IndexFunc(run, func(fix Fix) bool { return fix.At.Sub(run[0].At) > longestLeg })
			if end < 0 {
				end = len(run)
			}
			legs, run = append(legs, run[:end]), run[end:]
		}
	}
	return legs
}

func cutWhere(fixes []Fix, cut func(before, fix Fix) bool) [][]Fix {
	var runs [][]Fix
	start := 0
	for i := 1; i <= len(fixes); i++ {
		if i == len(fixes) || cut(fixes[i-1], fixes[i]) {
			runs, start = append(runs, fixes[start:i]), i
		}
	}
	return runs
}

// The tracking service takes fixes that are at most a minute old and at most a
// minute ahead. A leg takes longer, so its fix times are squeezed into the span
// between these marks around the moment it starts. Spacing stays in proportion, and
// so does the way, about where the leg begins: speeds are as they were.
const (
	squeezedStart = -30 * time.Second
	squeezedSpan  = 85 * time.Second
)

// Stamp gives the leg's fixes times around start.
func Stamp(leg []Fix, start time.Time) []tracking.Fix {
	var stamped []tracking.Fix
	whole := leg[len(leg)-1].At.Sub(leg[0].At)
	factor := min(1, float64(squeezedSpan)/float64(max(whole, 1)))
	for _, fix := range leg {
		offset := time.Duration(float64(fix.At.Sub(leg[0].At)) * factor)
		stamped = append(stamped, tracking.Fix{
			Lat: leg[0].Lat + (fix.Lat-leg[0].Lat)*factor, Lng: leg[0].Lng + (fix.Lng-leg[0].Lng)*factor,
			At: start.Add(squeezedStart + offset).UTC().Round(time.Millisecond),
		})
	}
	return stamped
}

// Possibility is what the tracking service must say of a fix.
type Possibility int

const (
	Possible   Possibility = iota
	Still                  // possible, and nothing new
	Borderline             // too near to a limit to tell
	Stale                  // not newer
	Impossible             // faster than anything moves
)

// The service's documented rule: nothing moves faster than 90 m/s, but each fix may
// be 25 m off; three that agree with one another are believed; and who has not
// moved by 3 m is told again after 10 s.
const (
	fastest  = 90.0
	usual    = 25.0
	still    = 3.0
	beat     = 10 * time.Second
	agreeing = 3
	margin   = 0.02
)

// Track foretells the service's judgements of one track's fixes.
type Track struct {
	last    *tracking.Fix
	doubted []tracking.Fix
}

// Judge foretells what the service says of the next fix.
func (t *Track) Judge(fix tracking.Fix) Possibility {
	if t.last == nil {
		return Possible
	}
	elapsed, way := fix.At.Sub(t.last.At), metres(*t.last, fix)
	switch speeding := PossibilityOf(*t.last, fix); {
	case speeding == Impossible && len(t.doubted) == agreeing-1 && PossibilityOf(t.doubted[len(t.doubted)-1], fix) == Possible:
		return Possible
	case speeding != Possible:
		return speeding
	case len(t.doubted) > 0 || elapsed > beat+10*time.Millisecond || way > still*(1+margin):
		return Possible
	case elapsed > beat-10*time.Millisecond || way > still*(1-margin):
		return Borderline
	}
	return Still
}

// Told takes in that the service told a fix to its readers, and Doubted that it
// refused it as impossible.
func (t *Track) Told(fix tracking.Fix) { t.last, t.doubted = &fix, nil }

// Doubted is described at Told.
func (t *Track) Doubted(fix tracking.Fix) {
	if n := len(t.doubted); n > 0 && PossibilityOf(t.doubted[n-1], fix) != Possible {
		t.doubted = nil
	}
	t.doubted = append(t.doubted, fix)
}

// PossibilityOf says whether something can move from one fix to another.
func PossibilityOf(from, to tracking.Fix) Possibility {
	elapsed := to.At.Sub(from.At)
	way, most := metres(from, to)-2*usual, fastest*elapsed.Seconds()
	switch {
	case elapsed <= 0:
		return Stale
	case way < most*(1-margin)-1:
		return Possible
	case way < most*(1+margin)+1:
		return Borderline
	}
	return Impossible
}

// metres is the distance on a plane that touches the city, which is near enough.
func metres(from, to tracking.Fix) float64 {
	const radius, degree = 6_371_000, math.Pi / 180
	east := (to.Lng - from.Lng) * math.Cos((from.Lat+to.Lat)/2*degree)
	return radius * degree * math.Hypot(east, to.Lat-from.Lat)
}
