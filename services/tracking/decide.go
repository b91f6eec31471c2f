package tracking

import (
	"slices"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// Track is the state of an order's tracking. The zero value was never opened.
// It is carried by its facts, because the trail is bounded and the fact that
// opened it goes first.
type Track struct {
	Opened   bool          `json:"opened,omitempty"`
	Closed   bool          `json:"closed,omitempty"`
	Public   bool          `json:"public,omitempty"`
	Operator string        `json:"operator,omitempty"`
	Watchers []string      `json:"watchers,omitempty"`
	Last     *tracking.Fix `json:"last,omitempty"`
	// Behind is how many milliseconds the operator's clock is behind ours; negative
	// where it is ahead.
	Behind int64 `json:"behind,omitempty"`
	// Doubted are the newest fixes since that cannot be after the last one, or are of
	// another time than ours, but agree with one another; oldest first.
	Doubted []tracking.Fix `json:"doubted,omitempty"`
}

var track = es.Decider[Track]{
	Kind:     "tracking",
	Commands: es.Commands(tracking.Open{}, tracking.Report{}, tracking.Close{}),
	Facts:    es.Facts(tracking.TrackingOpened{}, tracking.CoordsUpdate{}, tracking.CoordsDoubted{}, tracking.TrackingClosed{}),
	Decide:   decide,
	Evolve:   evolve,
	Carry:    true,
	Members:  &es.Members[Track]{Changed: changed, Role: Track.role},
}

func decide(t Track, c es.Command) ([]es.Event, error) {
	switch body := c.Body.(type) {
	case tracking.Open:
		return open(t, c.Meta, body)
	case tracking.Report:
		return report(t, c.Meta, body)
	case tracking.Close:
		return closeTrack(t, c.Meta)
	}
	return nil, schemas.Refuse(schemas.UnknownCommand, "tracking does not know %T", c.Body)
}

// open begins a track. The ids of orders are no secret, so whoever knows one may
// have begun its track before: a service begins it anew then, for exactly whom it
// names.
func open(t Track, m es.Meta, c tracking.Open) ([]es.Event, error) {
	service := m.Role == subjects.RoleService
	switch {
	case !service && m.From != c.Operator:
		return nil, forbidden
	case t.Opened && !service:
		return nil, schemas.Refuse(schemas.Exists, "the tracking is open already")
	case t.Opened && t.Operator == c.Operator && t.Public == c.Public && slices.Equal(t.Watchers, c.Watchers):
		return nil, nil
	}
	opened := tracking.TrackingOpened{
		Operator: c.Operator, Watchers: append([]string{}, c.Watchers...), Public: c.Public, Anew: t.Opened,
	}
	if t.Opened {
		for _, user := range append([]string{t.Operator}, t.Watchers...) {
			if user != c.Operator && !slices.Contains(c.Watchers, user) {
				opened.Removed = append(opened.Removed, user)
			}
		}
	}
	return es.Happens(opened), nil
}

func closeTrack(t Track, m es.Meta) ([]es.Event, error) {
	switch {
	case !t.Opened || m.Role != subjects.RoleService && m.From != t.Operator:
		return nil, forbidden
	case t.Closed:
		return nil, nil
	}
	return es.Happens(tracking.TrackingClosed{}), nil
}

var forbidden = schemas.Refuse(schemas.Forbidden, "only the order's operator may do that")

func evolve(t Track, event es.Event) Track {
	switch fact := event.Data.(type) {
	case tracking.TrackingOpened:
		return Track{Opened: true, Operator: fact.Operator, Watchers: fact.Watchers, Public: fact.Public}
	case tracking.CoordsDoubted:
		t.Doubted = t.agreed(tracking.Fix(fact))
	case tracking.CoordsUpdate:
		t.Last, t.Behind, t.Doubted = (*tracking.Fix)(&fact), fact.Behind, nil
	case tracking.TrackingClosed:
		t.Closed = true
	}
	return t
}

// role is what the bucket "members" says of a user. The operator stays
// "operator" when named among the watchers, too.
func (t Track) role(user string) string {
	switch {
	case user == "" && t.Public:
		return "watcher"
	case user == "":
		return ""
	case user == t.Operator:
		return "operator"
	case slices.Contains(t.Watchers, user):
		return "watcher"
	}
	return ""
}

func changed(event es.Event) []string {
	opened, ok := event.Data.(tracking.TrackingOpened)
	if !ok {
		return nil
	}
	users := slices.Concat([]string{opened.Operator}, opened.Watchers, opened.Removed)
	if opened.Public || opened.Anew {
		users = append(users, "")
	}
	return users
}
