package tracking

import (
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
)

// recordings is the folder of recorded traffic; tests that need it skip without it.
func recordings(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("LATIDO_DATA_SET")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(filepath.Join(folder, "cabs")); err != nil {
		t.Skip("no recorded traffic: set LATIDO_DATA_SET")
	}
	return folder
}

// trace is what a device said, oldest first.
type trace struct {
	name  string
	fixes []tracking.Report // of its own times; zero where it tells none
}

// cabs reads lines of "latitude longitude occupied unix-seconds".
func cabs(t *testing.T, path string) trace {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := trace{name: filepath.Base(path)}
	for line := range strings.Lines(string(text)) {
		var fix tracking.Report
		var occupied, seconds int64
		if _, err := fmt.Sscan(line, &fix.Lat, &fix.Lng, &occupied, &seconds); err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		fix.At = time.Unix(seconds, 0).UTC()
		read.fixes = append(read.fixes, fix)
	}
	return read
}

func gpx(t *testing.T, path string) trace {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tracks []struct {
			Segments []struct {
				Points []struct {
					Lat        float64 `xml:"lat,attr"`
					Lng        float64 `xml:"lon,attr"`
					Time       string  `xml:"time"`
					Extensions struct {
						Accuracy *float64 `xml:"hAcc"`
						Heading  *float64 `xml:"course"`
					} `xml:"extensions"`
				} `xml:"trkpt"`
			} `xml:"trkseg"`
		} `xml:"trk"`
	}
	if err := xml.Unmarshal(text, &file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	read := trace{name: filepath.Base(path)}
	for _, track := range file.Tracks {
		for _, segment := range track.Segments {
			for _, point := range segment.Points {
				at, _ := time.Parse(time.RFC3339, point.Time) // some have none
				read.fixes = append(read.fixes, tracking.Report{
					Lat: point.Lat, Lng: point.Lng, At: at, Accuracy: point.Extensions.Accuracy, Heading: point.Extensions.Heading,
				})
			}
		}
	}
	return read
}

// replay has an operator's fixes judged, each when it was taken.
type replay struct {
	track Track
	now   time.Time
}

func begin() *replay {
	return &replay{track: evolve(Track{}, opened), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// report returns whether the fix is the position now, and the refusal's code.
func (r *replay) report(fix tracking.Report) (told bool, code schemas.Code) {
	command := es.Command{Meta: es.Meta{From: "olga", Now: r.now}, Body: fix}
	events, err := decide(r.track, command)
	for _, event := range events {
		r.track = evolve(r.track, event)
		told = event.Name == "coords_update"
	}
	if err != nil {
		code = schemas.RefusalOf(err).Code
	}
	return told, code
}

// span is the time between two fixes of a trace: a second where it tells none.
func span(from, to tracking.Report) time.Duration {
	if from.At.IsZero() || to.At.IsZero() {
		return time.Second
	}
	return to.At.Sub(from.At)
}

// What devices recorded is judged as if it were now. A fix is taken for true when
// the two after it agree with it: three in a row that something can have moved
// along. Such a one is refused only while it is not known yet that the one before
// was wild: for no longer than three fixes. What is refused, and why, is shown.
func TestRecordedTraces(t *testing.T) {
	t.Parallel()
	folder := recordings(t)
	var traces []trace
	for pattern, read := range map[string]func(*testing.T, string) trace{"cabs/*.txt": cabs, "tracks/*.gpx": gpx} {
		paths, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths {
			traces = append(traces, read(t, path))
		}
	}
	t.Logf("%-28s %6s %6s %6s  refused", "", "fixes", "told", "still")
	for _, trace := range traces {
		told, still, refused := 0, 0, map[string]int{}
		r, run := begin(), 0
		stamped := make([]tracking.Report, 0, len(trace.fixes))
		for i, fix := range trace.fixes {
			elapsed := time.Duration(0)
			if i > 0 {
				elapsed = span(trace.fixes[i-1], fix)
			}
			fix.At = r.now.Add(elapsed)
			r.now = later(r.now, fix.At)
			stamped = append(stamped, fix)
			isTold, code := r.report(fix)
			switch {
			case code != 0:
				refused[code.Reason()]++
			case isTold:
				told++
			default:
				still++
			}
			if code == schemas.Implausible && agreesWithThoseBefore(stamped) {
				run++
			} else {
				run = 0
			}
			if run >= agreeing {
				t.Errorf("%s: true fixes are refused for longer than %d, up to number %d", trace.name, agreeing, i)
			}
		}
		t.Logf("%-28s %6d %6d %6d  %v", trace.name, len(trace.fixes), told, still, refused)
	}
}

// agreesWithThoseBefore says whether the last fixes are some that something can
// have moved along.
func agreesWithThoseBefore(fixes []tracking.Report) bool {
	if len(fixes) < agreeing {
		return false
	}
	last := fixes[len(fixes)-agreeing:]
	for i, fix := range last[1:] {
		if !fix.At.After(last[i].At) || !possible(of(last[i]), of(fix)) {
			return false
		}
	}
	return true
}

// Wild fixes that are strewn among true ones never become the position, and no
// true one is refused because of them, but for the two after a wild beginning.
func TestWildFixes(t *testing.T) {
	t.Parallel()
	wild := map[string]func(true tracking.Report, r *rand.Rand) tracking.Report{
		"0, 0":                func(tracking.Report, *rand.Rand) tracking.Report { return tracking.Report{} },
		"swapped coordinates": func(f tracking.Report, _ *rand.Rand) tracking.Report { return tracking.Report{Lat: f.Lng, Lng: f.Lat} },
		"a jump": func(f tracking.Report, r *rand.Rand) tracking.Report {
			return tracking.Report{Lat: f.Lat + 0.4 + r.Float64(), Lng: f.Lng - 0.4 - r.Float64()}
		},
		"a sign lost": func(f tracking.Report, _ *rand.Rand) tracking.Report { return tracking.Report{Lat: -f.Lat, Lng: f.Lng} },
	}
	for name, make := range wild {
		for seed := range uint64(200) {
			random := rand.New(rand.NewPCG(seed, 7))
			r := begin()
			position, refused := tracking.Report{Lat: -12, Lng: -77}, 0
			for step := range 200 {
				r.now = r.now.Add(time.Duration(200+random.IntN(3000)) * time.Millisecond)
				if step == 0 || step >= agreeing && random.IntN(4) == 0 {
					said := make(position, random)
					said.At = r.now.Add(-time.Duration(random.IntN(100)) * time.Millisecond)
					if told, _ := r.report(said); told && step > 0 {
						t.Fatalf("%s, seed %d: a wild fix is the position at step %d", name, seed, step)
					}
					r.now = r.now.Add(150 * time.Millisecond)
				}
				position.Lat += random.Float64() * 0.0002
				said := position
				said.At = r.now
				_, code := r.report(said)
				if code != 0 {
					refused++
				}
				if code != 0 && step >= agreeing {
					t.Fatalf("%s, seed %d: a true fix is refused as %s at step %d", name, seed, code.Reason(), step)
				}
			}
			if refused >= agreeing {
				t.Fatalf("%s, seed %d: %d true fixes were refused", name, seed, refused)
			}
		}
	}
}
