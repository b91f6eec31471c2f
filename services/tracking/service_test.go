package tracking

import (
	"fmt"
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

var channel = subjects.Channel{Kind: "tracking", ID: "42"}

func opening() es.Call {
	return es.Call{
		Channel: channel, Command: "open", From: "service:ops", Key: "open",
		Body: tracking.Open{Operator: "olga", Watchers: []string{"ana"}},
	}
}

var begun = time.Now()

// reporting is a fix of somebody who moves north at 11 m/s.
func reporting(operator, key string, at time.Time) es.Call {
	return es.Call{
		Channel: channel, Command: "report", From: operator, Key: key,
		Body: tracking.Report{Lat: -12 + at.Sub(begun).Seconds()/10_000, Lng: -77, At: at.UTC()},
	}
}

func TestFixesOnlyMoveForward(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	estest.Replica(t, bus, Run)
	estest.Replica(t, bus, Run)
	caller := estest.NewCaller(t, bus)
	caller.Do(opening())
	if got := caller.Role(channel, "olga"); got != "operator" {
		t.Errorf("olga is %q", got)
	}
	if got := caller.Role(channel, "ana"); got != "watcher" {
		t.Errorf("ana is %q", got)
	}
	start := time.Now().Add(-30 * time.Second)
	for i := range 20 {
		at := start.Add(time.Duration(i) * time.Second)
		first := caller.Do(reporting("olga", fmt.Sprint(i), at))
		if again := caller.Do(reporting("olga", fmt.Sprint(i), at)); again != first {
			t.Errorf("again at %d, want %d", again, first)
		}
		caller.Refused(schemas.OutOfOrder, reporting("olga", fmt.Sprint("late ", i), at.Add(-time.Millisecond)))
		caller.Refused(schemas.Duplicate, reporting("olga", fmt.Sprint("twice ", i), at))
		caller.Refused(schemas.Forbidden, reporting("eve", fmt.Sprint(i), at.Add(time.Millisecond)))
	}
	if got := len(caller.Facts(channel)); got != 41 {
		t.Errorf("%d facts, want 41: opened, 20 that count, 20 that were overtaken", got)
	}
}

// The trail is bounded: the fact that opened the track goes, its operator stays.
func TestTheTrackOutlivesTheFactThatOpenedIt(t *testing.T) {
	t.Parallel()
	bus := bustest.StartWith(t, topology.Config{TrailLen: 3})
	stop := estest.Replica(t, bus, Run)
	caller := estest.NewCaller(t, bus)
	caller.Do(opening())
	start := time.Now().Add(-30 * time.Second)
	for i := range 5 {
		caller.Do(reporting("olga", fmt.Sprint(i), start.Add(time.Duration(i)*time.Second)))
	}
	stop()
	estest.Replica(t, bus, Run) // which remembers nothing
	caller.Refused(schemas.OutOfOrder, reporting("olga", "late", start))
	caller.Refused(schemas.Forbidden, reporting("eve", "stranger", start.Add(6*time.Second)))
	caller.Do(reporting("olga", "next", start.Add(6*time.Second)))
	if got := len(caller.Facts(channel)); got != 3 {
		t.Errorf("%d facts, want 3", got)
	}
}

// A doubted fix is stored and refused, and so is its retry; when others agree with
// it the position is theirs, whichever replica has heard them.
func TestOneWildFixDoesNotDecide(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	estest.Replica(t, bus, Run)
	estest.Replica(t, bus, Run)
	caller := estest.NewCaller(t, bus)
	caller.Do(opening())
	start := time.Now().Add(-30 * time.Second)
	wild := reporting("olga", "wild", start)
	wild.Body = tracking.Report{Lat: -77, Lng: -12, At: start.UTC()}
	caller.Do(wild)
	for i := range 2 {
		fix := reporting("olga", fmt.Sprint(i), start.Add(time.Duration(i+1)*time.Second))
		caller.Refused(schemas.Implausible, fix)
		caller.Refused(schemas.Implausible, fix)
	}
	caller.Do(reporting("olga", "third", start.Add(3*time.Second)))
	caller.Do(reporting("olga", "fourth", start.Add(4*time.Second)))
	if got := len(caller.Facts(channel)); got != 6 {
		t.Errorf("%d facts, want 6: opened, the wild one, two doubted, two more", got)
	}
}
