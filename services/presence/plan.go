package presence

import (
	"slices"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
)

// plansMost bounds a user's plans.
const plansMost = 50

func schedule(u User, now time.Time, plan presence.Schedule) ([]es.Event, error) {
	if err := checkPlan(plan, now); err != nil {
		return nil, err
	}
	for _, at := range []*time.Time{&plan.From, &plan.Until} {
		if !at.IsZero() {
			*at = at.UTC()
		}
	}
	plans := withPlan(u.Plans, plan)
	if len(plans) > plansMost {
		return nil, schemas.Refuse(schemas.Conflict, "at most %d plans", plansMost)
	}
	u.Plans = plans
	return append(es.Happens(presence.StatusScheduled(plan)), u.tell(now)...), nil
}

func checkPlan(plan presence.Schedule, now time.Time) error {
	switch {
	case plan.Weekly == nil && plan.From.IsZero():
		return wrong("from", "is needed, unless it is weekly")
	case !plan.Until.IsZero() && !plan.Until.After(now):
		return wrong("until", "is over already")
	case !plan.Until.IsZero() && !plan.Until.After(plan.From):
		return wrong("until", "is not after from")
	case plan.Weekly == nil:
		return nil
	}
	if _, err := time.LoadLocation(plan.Weekly.TimeZone); err != nil || plan.Weekly.TimeZone == "Local" {
		return wrong("weekly.time_zone", "is not known")
	}
	return nil
}

func cancel(u User, now time.Time, name string) []es.Event {
	plans := slices.DeleteFunc(slices.Clone(u.Plans), func(p presence.Schedule) bool { return p.Schedule == name })
	if len(plans) == len(u.Plans) {
		return nil
	}
	u.Plans = plans
	return append(es.Happens(presence.ScheduleCancelled{Schedule: name}), u.tell(now)...)
}

// window is the time around at for which the plan holds.
func window(plan presence.Schedule, at time.Time) (from, until time.Time, on bool) {
	for from, until := range windows(plan, at) {
		if !at.Before(from) && (until.IsZero() || at.Before(until)) {
			return from, until, true
		}
	}
	return time.Time{}, time.Time{}, false
}

// windows yields the times of the plan that may hold at a time, and the next one
// after it, as far as they lie within the plan's own begin and end. A time without an end
// has the zero time for it.
func windows(plan presence.Schedule, at time.Time) func(func(from, until time.Time) bool) {
	return func(yield func(from, until time.Time) bool) {
		if plan.Weekly == nil {
			yield(plan.From, plan.Until)
			return
		}
		place, err := time.LoadLocation(plan.Weekly.TimeZone)
		if err != nil {
			return // was known when it was planned, and will be again
		}
		year, month, today := at.In(place).Date()
		for day := today - 1; day <= today+7; day++ {
			from, until := hours(plan.Weekly, year, month, day, place)
			if from.Before(plan.From) {
				from = plan.From
			}
			if !plan.Until.IsZero() && plan.Until.Before(until) {
				until = plan.Until
			}
			if !slices.Contains(plan.Weekly.Days, weekday(year, month, day)) || !until.After(from) {
				continue
			}
			if !yield(from.UTC(), until.UTC()) {
				return
			}
		}
	}
}

// hours are those that begin on a day, by the clocks there: so they move with
// summer time. Those that begin and end within hours which the clocks skip begin
// when the clocks go on, and are as long as they would have been.
func hours(w *presence.Weekly, year int, month time.Month, day int, place *time.Location) (from, until time.Time) {
	clock := func(text string, day int) time.Time {
		parsed, _ := time.Parse("15:04", text) // the schema has seen to it
		return time.Date(year, month, day, parsed.Hour(), parsed.Minute(), 0, 0, time.UTC)
	}
	start, end := clock(w.Start, day), clock(w.End, day)
	if w.End <= w.Start {
		end = clock(w.End, day+1)
	}
	from, until = reached(start, place), reached(end, place)
	if !until.After(from) {
		until = from.Add(end.Sub(start))
	}
	return from, until
}

// reached is the first moment at which the clocks of a place show a time, given as
// that of UTC, or a later one: where they skip it, the moment at which they go on.
// Of hours that come twice these are the first, so that what is planned then
// happens once.
func reached(clock time.Time, place *time.Location) time.Time {
	const day = 24 * time.Hour // more than any zone is off
	for at := clock.Add(-day).In(place); ; {
		begins, ends := at.ZoneBounds()
		_, offset := at.Zone()
		shown := clock.Add(-time.Duration(offset) * time.Second)
		if shown.Before(begins) {
			shown = begins
		}
		if ends.IsZero() || shown.Before(ends) {
			return shown
		}
		at = ends
	}
}

// weekday counts from Monday, 1, to Sunday, 7.
func weekday(year int, month time.Month, day int) int {
	return (int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday())+6)%7 + 1
}

// deadline is when after now what is shown may change by itself, or must be told
// again.
func (u User) deadline(now time.Time) time.Time {
	var next time.Time
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if u.Chosen != nil {
		consider(u.Chosen.Until)
	}
	if u.lasting(now) {
		consider(now.Add(keep))
	}
	for _, plan := range u.Plans {
		consider(plan.From)
		for from, until := range windows(plan, now) {
			consider(from)
			consider(until)
		}
	}
	return next
}
