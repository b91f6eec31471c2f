package topology_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

func TestGuardNoticesALostTail(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		lost, after int
		restore     bool
		want        []string
	}{
		"nothing lost":               {after: 3},
		"as long":                    {lost: 3, after: 3, restore: true, want: []string{subjects.StreamUser}},
		"shorter":                    {lost: 3, after: 1, restore: true, want: []string{subjects.StreamUser}},
		"grown beyond what was lost": {lost: 3, after: 5, restore: true, want: []string{subjects.StreamUser}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			nc, js := connect(t, bus)
			write := func(n int) {
				for range n {
					if _, err := js.Publish(t.Context(), "evt.user.ana", nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			var guard topology.Guard
			look := func() []string {
				broken, err := guard.Look(t.Context(), js, subjects.StreamUser, subjects.StreamRoom)
				if err != nil {
					t.Fatal(err)
				}
				return broken
			}
			restart := func(before func()) {
				bus.Kill(0)
				before()
				bus.Restart(t, 0)
				for nc.FlushTimeout(10*time.Second) != nil {
				}
			}
			write(4)
			look()
			var saved string
			restart(func() { saved = bus.Save(t, 0) })
			write(row.lost)
			if broken := look(); len(broken) > 0 {
				t.Fatalf("before: %v", broken)
			}
			if row.restore {
				restart(func() { bus.Restore(t, 0, saved) })
			}
			write(row.after)
			if broken := look(); !slices.Equal(broken, row.want) {
				t.Fatalf("broken: %v, want %v", broken, row.want)
			}
		})
	}
}

// What renewed stays so whoever declares the streams again.
func TestRenewedIsAnotherEpoch(t *testing.T) {
	t.Parallel()
	nc, js := connect(t, bustest.Start(t))
	epoch := func() string {
		described, err := history.Describe(t.Context(), nc, subjects.StreamUser)
		if err != nil {
			t.Fatal(err)
		}
		return described.Epoch
	}
	first := epoch()
	if err := topology.Renew(t.Context(), js, subjects.StreamUser); err != nil {
		t.Fatal(err)
	}
	renewed := epoch()
	if renewed == first {
		t.Errorf("still %s", first)
	}
	if err := topology.Ensure(t.Context(), js, topology.Config{}); err != nil {
		t.Fatal(err)
	}
	if again := epoch(); again != renewed {
		t.Errorf("declared again it is %s, was %s", again, renewed)
	}
}

// Whoever has seen what is gone has the stream renewed, once, even if nobody looked
// between what was lost and its loss; what may still be there proves nothing.
func TestGuardHearsOfALostTail(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t) // whose guard hears
	nc, js := connect(t, bus)
	epoch := func() string {
		described, err := history.Describe(t.Context(), nc, subjects.StreamUser)
		if err != nil {
			t.Fatal(err)
		}
		return described.Epoch
	}
	claim := func(place subjects.Place) string {
		body, err := json.Marshal(place)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := nc.Request(subjects.Lost(subjects.StreamUser), body, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer.Data)
	}
	if _, err := js.Publish(t.Context(), "evt.user.ana", nil); err != nil {
		t.Fatal(err)
	}
	message, found, err := history.Message(t.Context(), nc, subjects.StreamUser, 1)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	first := epoch()
	there := subjects.Place{Epoch: first, Sequence: 1, At: message.Time}
	for name, place := range map[string]subjects.Place{
		"there":                     there,
		"there, at an unknown time": {Epoch: first, Sequence: 1},
		"of an epoch yet to come":   {Epoch: strconv.FormatInt(time.Now().Add(24*time.Hour).UnixNano(), 36), Sequence: 1, At: message.Time},
	} {
		if why := claim(place); why == "" || epoch() != first {
			t.Errorf("%s: answered %q", name, why)
		}
	}
	gone := subjects.Place{Epoch: first, Sequence: 2, At: message.Time}
	for range 2 { // several bridges claim the same
		if why := claim(gone); why != "" {
			t.Errorf("gone: %s", why)
		}
	}
	second := epoch()
	if subjects.EpochBegan(second) <= subjects.EpochBegan(first) {
		t.Errorf("%s does not follow on %s", second, first)
	}
	gone.Epoch = second
	claim(gone)
	claim(subjects.Place{Epoch: second, Sequence: 1, At: message.Time.Add(time.Second)})
	third := epoch()
	if subjects.EpochBegan(third) <= subjects.EpochBegan(second) {
		t.Errorf("%s does not follow on %s", third, second)
	}
}
