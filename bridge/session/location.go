package session

import (
	"math"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// degree is the length of a degree of latitude, in metres.
const degree = 111_320

// grids are the widths of the squares, in metres, to whose middle a place is
// moved: always the same middle, so that many reports tell no more than one.
var grids = map[string]float64{"exact": 0, "100m": 100, "city": 10_000}

// coarsenLocation makes a place as inexact as its user wants, before anyone sees it.
func coarsenLocation(place *wire.Place) (*wire.Place, error) {
	if place == nil {
		return nil, nil
	}
	grid, known := grids[place.Accuracy]
	switch {
	case !known:
		return nil, schemas.Refusal{Code: schemas.InvalidData, Message: "position.accuracy: is exact, 100m or city", Field: "position.accuracy"}
	case math.Abs(place.Lat) > 90 || math.Abs(place.Lng) > 180:
		return nil, schemas.Refusal{Code: schemas.InvalidData, Message: "position: is not on Earth", Field: "position"}
	case grid == 0:
		return place, nil
	}
	step := grid / degree
	lat := middle(place.Lat, step)
	// Squares are as wide as high: meridians meet at the poles.
	lng := middle(place.Lng, step/max(math.Cos(lat*math.Pi/180), 0.01))
	return &wire.Place{Lat: min(max(lat, -90), 90), Lng: min(max(lng, -180), 180), Accuracy: place.Accuracy}, nil
}

// middle is that of the step that x is in, to six digits.
func middle(x, step float64) float64 {
	return math.Round((math.Floor(x/step)+0.5)*step*1e6) / 1e6
}
