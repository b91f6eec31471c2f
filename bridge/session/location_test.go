package session

import (
	"math"
	"testing"

	"github.com/latido/latido/bridge/wire"
)

func TestCoarsen(t *testing.T) {
	t.Parallel()
	metres := func(a, b wire.Place) float64 {
		return math.Hypot((a.Lat-b.Lat)*degree, (a.Lng-b.Lng)*degree*math.Cos(a.Lat*math.Pi/180))
	}
	for _, at := range []wire.Place{{Lat: 40.4168, Lng: -3.7038}, {Lat: -33.4489, Lng: -70.6693}, {Lat: 69.6492, Lng: 18.9553}, {Lat: 89.9999, Lng: 179.9999}} {
		for accuracy, most := range map[string]float64{"exact": 0, "100m": 75, "city": 7500} {
			at.Accuracy = accuracy
			got, err := coarsenLocation(&at)
			if err != nil {
				t.Fatal(err)
			}
			if off := metres(at, *got); off > most || accuracy != "exact" && off == 0 {
				t.Errorf("%+v became %+v, %.0f m away", at, got, off)
			}
			if again, err := coarsenLocation(got); err != nil || metres(*got, *again) > 1 {
				t.Errorf("%+v became %+v, %v when it was made inexact again", got, again, err)
			}
		}
	}
	if got, err := coarsenLocation(nil); got != nil || err != nil {
		t.Errorf("no position became %v, %v", got, err)
	}
}
