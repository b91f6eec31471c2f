package presence

import (
	"testing"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
)

// own is a command of ana to her own channel, seconds after the beginning.
func own(seconds int, body es.CommandBody) es.Command {
	command := estest.By("ana", body)
	command.Channel, command.Now = subjects.Channel{Kind: "user", ID: "ana"}, at(seconds)
	return command
}

func due(seconds int) es.Command {
	command := estest.Service("presence", presence.Due{})
	command.Now = at(seconds)
	return command
}

func status(fact presence.StatusChanged) es.Event {
	return es.NewEvent(fact)
}

func planned(plan presence.ScheduleStatus) es.Event {
	return es.NewEvent(presence.StatusScheduled(plan))
}

func TestStatus(t *testing.T) {
	t.Parallel()
	seen := func(away bool, seconds int) es.Command {
		return estest.Service("presence", presence.Observe{Online: true, Away: away, At: at(seconds)})
	}
	busy := status(presence.StatusChanged{Status: "busy", CustomMessage: "meeting", Until: at(60), By: byUser, Chosen: true, At: at(2)})
	away := status(presence.StatusChanged{Status: "away", Away: true, By: byActivity, At: at(2)})
	estest.Check(t, user, []estest.Row{
		{Name: "who touches nothing is away", Given: estest.Facts(came(1)), When: seen(true, 2), Then: estest.Facts(away)},
		{
			Name: "and back on the first touch", Given: estest.Facts(came(1), away), When: seen(false, 3),
			Then: estest.Facts(status(presence.StatusChanged{Status: "online", By: byActivity, At: at(3)})),
		},
		{
			Name: "a status is chosen until some time", Given: estest.Facts(came(1)),
			When: own(2, presence.SetStatus{Status: "busy", CustomMessage: "meeting", Until: at(60)}), Then: estest.Facts(busy),
		},
		{Name: "the same again changes nothing", Given: estest.Facts(came(1), busy), When: own(3, presence.SetStatus{Status: "busy", CustomMessage: "meeting", Until: at(60)})},
		{
			Name: "what was chosen wins over the devices", Given: estest.Facts(came(1), busy), When: seen(true, 3),
			Then: estest.Facts(status(presence.StatusChanged{
				Status: "busy", CustomMessage: "meeting", Until: at(60), By: byActivity, Chosen: true, Away: true, At: at(3),
			})),
		},
		{
			Name: "it ends by itself", Given: estest.Facts(came(1), busy), When: due(60),
			Then: estest.Facts(status(presence.StatusChanged{Status: "online", By: bySchedule, At: at(60)})),
		},
		{Name: "but not before", Given: estest.Facts(came(1), busy), When: due(59)},
		{
			Name: "or when it is cleared", Given: estest.Facts(came(1), busy), When: own(5, presence.ClearStatus{}),
			Then: estest.Facts(status(presence.StatusChanged{Status: "online", By: byUser, At: at(5)})),
		},
		{
			Name: "a message goes with any status", Given: estest.Facts(came(1), away), When: own(5, presence.SetStatus{CustomMessage: "lunch"}),
			Then: estest.Facts(status(presence.StatusChanged{Status: "away", CustomMessage: "lunch", By: byUser, Away: true, At: at(5)})),
		},
		{Name: "the end must be to come", When: own(5, presence.SetStatus{Status: "busy", Until: at(4)}), Refused: schemas.InvalidData},
		{Name: "nobody speaks for another", When: estest.By("eve", presence.SetStatus{Status: "busy"}), Refused: schemas.Forbidden},
		{Name: "nobody but a service says what is due", When: own(1, presence.Due{}), Refused: schemas.Forbidden},
	})
}

func TestPlans(t *testing.T) {
	t.Parallel()
	meeting := presence.ScheduleStatus{Schedule: "m", Status: "busy", From: at(10), Until: at(20)}
	gone := func(seconds int) es.Command {
		return estest.Service("presence", presence.Observe{At: at(seconds)})
	}
	lagging := estest.Service("presence", presence.Observe{Online: true, Away: true, At: at(5)})
	lagging.Now = at(15)
	const month = 30 * 24 * 60 * 60
	holiday := presence.ScheduleStatus{Schedule: "h", Status: "away", From: at(3 * month), Until: at(4 * month)}
	shown := func(seconds int) es.Event {
		return status(presence.StatusChanged{Status: "busy", Until: at(20), Schedule: "m", By: bySchedule, At: at(seconds)})
	}
	chosen := func(seconds int) es.Event {
		return status(presence.StatusChanged{Status: "dnd", By: byUser, Chosen: true, At: at(seconds)})
	}
	over := status(presence.StatusChanged{Status: "online", By: bySchedule, At: at(20)})
	estest.Check(t, user, []estest.Row{
		{Name: "a plan waits", When: own(1, meeting), Then: estest.Facts(planned(meeting))},
		{Name: "then it holds", Given: estest.Facts(planned(meeting)), When: due(10), Then: estest.Facts(shown(10))},
		{Name: "however late it is noticed", Given: estest.Facts(planned(meeting)), When: due(15), Then: estest.Facts(shown(15))},
		{Name: "unless it is over by then", Given: estest.Facts(planned(meeting)), When: due(25)},
		{Name: "and ends", Given: estest.Facts(planned(meeting), shown(10)), When: due(20), Then: estest.Facts(over)},
		{
			Name: "back to what was chosen before", Given: estest.Facts(planned(meeting), chosen(1), shown(10)), When: due(20),
			Then: estest.Facts(status(presence.StatusChanged{Status: "dnd", By: bySchedule, Chosen: true, At: at(20)})),
		},
		{Name: "what is chosen meanwhile counts", Given: estest.Facts(planned(meeting), shown(10)), When: own(12, presence.SetStatus{Status: "dnd"}), Then: estest.Facts(chosen(12))},
		{
			Name: "one under way begins at once", When: own(12, meeting),
			Then: estest.Facts(planned(meeting), shown(12)),
		},
		{
			Name: "and ends when it is taken back", Given: estest.Facts(planned(meeting), shown(12)), When: own(13, presence.CancelSchedule{Schedule: "m"}),
			Then: estest.Facts(
				es.NewEvent(presence.ScheduleCancelled{Schedule: "m"}),
				status(presence.StatusChanged{Status: "online", By: bySchedule, At: at(13)}),
			),
		},
		{
			Name: "a plan is told of again before facts are forgotten", Given: estest.Facts(planned(holiday), chosen(1)), When: due(month),
			Then: estest.Facts(status(presence.StatusChanged{Status: "dnd", By: bySchedule, Chosen: true, At: at(month)})),
		},
		{Name: "but not for as long as they are young", Given: estest.Facts(planned(holiday), chosen(1)), When: due(10)},
		{
			Name: "what fell due is told before an observation", Given: estest.Facts(came(1), planned(meeting), shown(10)), When: gone(21),
			Then: estest.Facts(status(presence.StatusChanged{Status: "online", By: bySchedule, At: at(21)}), es.NewEvent(presence.Offline{LastSeen: at(21)})),
		},
		{
			Name: "even by one that lags", Given: estest.Facts(came(1), planned(meeting)), When: lagging,
			Then: estest.Facts(shown(15), status(presence.StatusChanged{Status: "busy", Until: at(20), Schedule: "m", By: byActivity, Away: true, At: at(5)})),
		},
		{
			Name: "a message goes with a plan under way", Given: estest.Facts(came(1), planned(meeting), shown(10)), When: own(12, presence.SetStatus{CustomMessage: "back soon"}),
			Then: estest.Facts(status(presence.StatusChanged{Status: "busy", CustomMessage: "back soon", Until: at(20), By: byUser, Chosen: true, At: at(12)})),
		},
		{Name: "what was not planned need not be taken back", When: own(1, presence.CancelSchedule{Schedule: "m"})},
		{Name: "a plan needs a beginning", When: own(1, presence.ScheduleStatus{Schedule: "m", Status: "busy"}), Refused: schemas.InvalidData},
		{Name: "a plan ends after it begins", When: own(1, presence.ScheduleStatus{Schedule: "m", Status: "busy", From: at(20), Until: at(10)}), Refused: schemas.InvalidData},
		{
			Name:    "the zone must exist",
			When:    own(1, presence.ScheduleStatus{Schedule: "m", Status: "busy", Weekly: &presence.Weekly{Days: []int{1}, Start: "13:00", End: "14:00", TimeZone: "Mars/Olympus"}}),
			Refused: schemas.InvalidData,
		},
	})
}

// Busy every weekday from 13 to 14 in Madrid, also in the week in which summer
// time begins there.
func TestWeeklyPlan(t *testing.T) {
	t.Parallel()
	u := User{Plans: []presence.Schedule{{Schedule: "lunch", Status: "busy", Weekly: &presence.Weekly{
		Days: []int{1, 2, 3, 4, 5}, Start: "13:00", End: "14:00", TimeZone: "Europe/Madrid",
	}}}}
	for _, row := range []struct{ at, want, next string }{
		{"2026-03-27T11:59:59Z", "online", "2026-03-27T12:00:00Z"}, // Friday, winter
		{"2026-03-27T12:00:00Z", "busy", "2026-03-27T13:00:00Z"},
		{"2026-03-27T13:00:00Z", "online", "2026-03-30T11:00:00Z"},
		{"2026-03-28T12:30:00Z", "online", "2026-03-30T11:00:00Z"}, // Saturday
		{"2026-03-30T11:00:00Z", "busy", "2026-03-30T12:00:00Z"},   // Monday, summer
	} {
		now, err := time.Parse(time.RFC3339, row.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.shown(now).Status; got != row.want {
			t.Errorf("%s: %s, want %s", row.at, got, row.want)
		}
		if got := u.deadline(now).Format(time.RFC3339); got != row.next {
			t.Errorf("after %s comes %s, want %s", row.at, got, row.next)
		}
	}
}

// A plan that ends in the middle of an hour of its own, and one that begins only
// in a month.
func TestWeeklyPlanHasBounds(t *testing.T) {
	t.Parallel()
	begins, ends := at(30*24*60*60), at(90)
	always := &presence.Weekly{Days: []int{1, 2, 3, 4, 5, 6, 7}, Start: "00:00", End: "00:00", TimeZone: "UTC"}
	for _, row := range []struct {
		plan presence.Schedule
		at   time.Time
		next time.Time
	}{
		{presence.Schedule{Schedule: "p", Status: "busy", Until: ends, Weekly: always}, at(60), ends},
		{presence.Schedule{Schedule: "p", Status: "busy", From: begins, Weekly: always}, begins.Add(-10 * 24 * time.Hour), begins},
	} {
		u := User{Plans: []presence.Schedule{row.plan}}
		if got := u.deadline(row.at); !got.Equal(row.next) {
			t.Errorf("after %v comes %v, want %v", row.at, got, row.next)
		}
	}
}

// Who is invisible was last seen when they became so, also once they are gone.
func TestInvisibleIsLikeGone(t *testing.T) {
	t.Parallel()
	hidden := status(presence.StatusChanged{Status: statusInvisible, Chosen: true, By: byUser, At: at(5)})
	u := evolve(evolve(User{}, came(1)), hidden)
	if !u.LastSeen.Equal(at(5)) {
		t.Errorf("hidden, seen at %v", u.LastSeen)
	}
	if u = evolve(u, observed(9, presence.Offline{LastSeen: at(9)})); !u.LastSeen.Equal(at(5)) {
		t.Errorf("gone, seen at %v", u.LastSeen)
	}
}

// A night shift belongs to the day on which it begins.
func TestWeeklyPlanPastMidnight(t *testing.T) {
	t.Parallel()
	night := presence.Schedule{Schedule: "night", Status: "busy", Weekly: &presence.Weekly{
		Days: []int{7}, Start: "22:00", End: "06:00", TimeZone: "UTC",
	}}
	for at, want := range map[string]bool{
		"2026-03-01T21:59:00Z": false, "2026-03-01T22:00:00Z": true, // Sunday
		"2026-03-02T05:59:00Z": true, "2026-03-02T06:00:00Z": false, "2026-03-02T22:00:00Z": false,
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, on := window(night, now); on != want {
			t.Errorf("%s: %v, want %v", at, on, want)
		}
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	made := es.NewEvent(presence.GroupCreated{Members: []string{"ana", "luis"}, By: "ana"})
	added := es.NewEvent(presence.MemberAdded{User: "eva", By: "ana"})
	removed := es.NewEvent(presence.MemberRemoved{User: "luis", By: "luis"})
	estest.Check(t, group, []estest.Row{
		{Name: "anyone makes a group", When: estest.By("ana", presence.Create{Members: []string{"luis"}}), Then: estest.Facts(made)},
		{Name: "once", Given: estest.Facts(made), When: estest.By("eve", presence.Create{Members: []string{}}), Refused: schemas.Exists},
		{Name: "its keeper adds", Given: estest.Facts(made), When: estest.By("ana", presence.Add{User: "eva"}), Then: estest.Facts(added)},
		{Name: "a member does not", Given: estest.Facts(made), When: estest.By("luis", presence.Add{User: "eva"}), Refused: schemas.Forbidden},
		{Name: "but may go", Given: estest.Facts(made), When: estest.By("luis", presence.Remove{User: "luis"}), Then: estest.Facts(removed)},
		{Name: "to add twice changes nothing", Given: estest.Facts(made, added), When: estest.By("ana", presence.Add{User: "eva"})},
		{Name: "nobody adds to what is not there", When: estest.By("ana", presence.Add{User: "eva"}), Refused: schemas.Forbidden},
	})
}
