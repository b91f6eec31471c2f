package e2e

import (
	"strings"
	"testing"
	"time"
)

const trace = `37.75153 -122.39447 0 1211033530
37.75149 -122.39447 0 1211033590
37.75149 -122.39447 1 1211033650
37.76149 -122.39447 1 1211033710
37.80000 -122.50000 1 1211033712
37.76149 -122.39447 1 1211040000
37.76149 -122.39447 0 1211090000
`

func TestTraceIsCutIntoDaysAndLegs(t *testing.T) {
	t.Parallel()
	fixes, err := ParseTrace(strings.NewReader(trace))
	if err != nil {
		t.Fatal(err)
	}
	days := Days(fixes)
	if len(days) != 2 || len(days[0]) != 6 || len(days[1]) != 1 {
		t.Fatalf("days: %v", days)
	}
	legs := Legs(days[0])
	if len(legs) != 3 || len(legs[0]) != 2 || len(legs[1]) != 3 || len(legs[2]) != 1 {
		t.Fatalf("legs: %v", legs)
	}
	if legs[0][0].Occupied || !legs[1][0].Occupied {
		t.Error("the passenger is in the wrong leg")
	}
	if _, err := ParseTrace(strings.NewReader("37.7 here 0 1211033530\n")); err == nil {
		t.Error("a broken line was read")
	}
}

func TestLongLegsAreCut(t *testing.T) {
	t.Parallel()
	var day []Fix
	for i := range 120 {
		day = append(day, Fix{At: time.Unix(int64(60*i), 0)})
	}
	fixes := 0
	for _, leg := range Legs(day) {
		fixes += len(leg)
		if long := leg[len(leg)-1].At.Sub(leg[0].At); long > longestLeg {
			t.Errorf("a leg of %v", long)
		}
	}
	if fixes != len(day) {
		t.Errorf("%d fixes of %d in legs", fixes, len(day))
	}
}

func TestStampKeepsSpacingWithinTheMinute(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_700_000_000, 0)
	leg := []Fix{{At: time.Unix(0, 0)}, {At: time.Unix(300, 0)}, {At: time.Unix(1200, 0)}}
	stamped := Stamp(leg, start)
	for i, want := range []time.Duration{squeezedStart, squeezedStart + squeezedSpan/4, squeezedStart + squeezedSpan} {
		if got := stamped[i].At.Sub(start); got != want {
			t.Errorf("fix %d at %v, want %v", i, got, want)
		}
	}
	if alone := Stamp(leg[:1], start); alone[0].At.Sub(start) != squeezedStart {
		t.Errorf("a leg of one fix at %v", alone[0].At)
	}
}

func TestPossibilityOf(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_700_000_000, 0)
	fixes := Stamp([]Fix{{Lat: 37.7, Lng: -122.4, At: at}}, at)
	from := fixes[0]
	for name, test := range map[string]struct {
		metres  float64
		elapsed time.Duration
		want    Possibility
	}{
		"a cab":                       {150, 10 * time.Second, Possible},
		"a jump":                      {20_000, 10 * time.Second, Impossible},
		"just below the limit":        {949, 10 * time.Second, Borderline},
		"a jump within a second":      {20_000, 500 * time.Millisecond, Impossible},
		"as far as it may be off":     {45, 10 * time.Millisecond, Possible},
		"the same time":               {0, 0, Stale},
		"a slow one out of its order": {1, -time.Second, Stale},
	} {
		to := from
		to.Lat += test.metres / 111_195
		to.At = from.At.Add(test.elapsed)
		if got := PossibilityOf(from, to); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
