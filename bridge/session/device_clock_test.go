package session

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/latido/latido/schemas/presence"
)

// A device that comes back through a node whose clock differs is as active as the
// node before it said.
func TestADeviceComesBackThroughAnotherClock(t *testing.T) {
	t.Parallel()
	limits, now := Limits{}.WithDefaults(), time.Now()
	for name, test := range map[string]struct {
		activity int32
		ago      time.Duration // by our clock
		quiet    time.Duration
	}{
		"the same clock, active":     {active, 20 * time.Second, 20 * time.Second},
		"the same clock, idle":       {idle, 2 * time.Minute, 2 * time.Minute},
		"idle since it was lost":     {active, 65 * time.Second, 65 * time.Second},
		"a slow clock, active":       {active, 5*time.Minute + 20*time.Second, 0},
		"a fast clock, active":       {active, 20*time.Second - 5*time.Minute, 0},
		"a fast clock, idle":         {idle, 2*time.Minute - 5*time.Minute, limits.Idle},
		"a slow clock, idle":         {idle, 7 * time.Minute, limits.Idle},
		"a fast clock, away":         {away, time.Minute, limits.Away},
		"a slow clock, away already": {away, time.Hour, time.Hour},
	} {
		meta, err := json.Marshal(presence.About{Activity: activities[test.activity], LastActive: now.Add(-test.ago)})
		if err != nil {
			t.Fatal(err)
		}
		var d device
		d.remember(meta, now, limits)
		if got := now.Sub(time.UnixMilli(d.touched.Load())); got.Round(time.Second) != test.quiet {
			t.Errorf("%s: quiet for %v, want %v", name, got, test.quiet)
		}
	}
}
