package presence

import (
	"testing"
	"time"

	"github.com/latido/latido/schemas/presence"
)

// Asking is nothing that the user did: while a device is active its touch is as old as
// was told, or as it may be at most.
func TestLastActive(t *testing.T) {
	t.Parallel()
	now := at(1000)
	for name, test := range map[string]struct {
		activity   string
		told, want time.Time
	}{
		"of late":                 {activeDevice, now.Add(-30 * time.Second), now.Add(-30 * time.Second)},
		"again and again":         {activeDevice, now.Add(-time.Hour), now.Add(-time.Minute)},
		"by a clock that is fast": {activeDevice, now.Add(time.Hour), now},
		"not any longer":          {"idle", now.Add(-2 * time.Minute), now.Add(-2 * time.Minute)},
	} {
		v := newView(everybody{}, nil)
		v.person("ana").sessions["phone"] = session{Ref: "phone", Device: "mobile", About: presence.About{Activity: test.activity, LastActive: test.told}}
		card := v.cardOf("ana", User{Online: true}, now)
		if !card.LastActive.Equal(test.want) || !card.Devices[0].LastActive.Equal(test.want) {
			t.Errorf("%s: %v, device %v, want %v", name, card.LastActive, card.Devices[0].LastActive, test.want)
		}
	}
}

// everybody are nodes that are all there, at a time at which nothing is over.
type everybody struct{}

func (everybody) Here(string) bool { return true }

func (everybody) Keeps(string) bool { return true }

func (everybody) Over(time.Time) bool { return false }
