package presence

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology/bustest"
)

// device is what a bridge writes for a session that says what it is.
func (b bridge) device(user, ref, kind, activity string) {
	b.t.Helper()
	value, err := json.Marshal(map[string]any{
		"user": user, "ref": ref, "name": "Dr. " + user, "device": kind, "node": node,
		"meta": map[string]any{"activity": activity, "last_active": time.Now().UTC(), "avatar": "https://pictures.example/" + user},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(seat.Hold(subjects.PresenceKey(node, subjects.Channel{Kind: "user", ID: user}.Seat(user, ref)), value))
}

func (b bridge) unplugAna(ref string) {
	b.t.Helper()
	b.write(seat.Leave(subjects.PresenceKey(node, ana.Seat("ana", ref)), time.Second))
}

const patience = time.Minute

// soon is when something is to happen that a test says before: also on a machine that
// stalls.
const soon = 6 * time.Second

// awaitCard returns the first card of a user on a channel that fits; a missing
// card is the zero one.
func (b bridge) awaitCard(channel subjects.Channel, user string, fits func(presence.Card) bool) {
	b.t.Helper()
	watch, err := b.sessions.Watch(b.t.Context(), cardKey(channel, user))
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = watch.Stop() }()
	var last presence.Card
	late := time.After(patience)
	for {
		select {
		case entry := <-watch.Updates():
			var value struct{ Meta presence.Card }
			switch {
			case entry == nil: // that was what is there already
			case entry.Operation() != jetstream.KeyValuePut:
				last = presence.Card{}
			default:
				if err := json.Unmarshal(entry.Value(), &value); err != nil {
					b.t.Fatal(err)
				}
				last = value.Meta
			}
			if fits(last) {
				return
			}
		case <-late:
			b.t.Fatalf("the card of %s on %s stays %+v", user, channel, last)
		}
	}
}

func (b bridge) command(user, command, key string, on subjects.Channel, body any) es.Call {
	return es.Call{Channel: on, Command: command, From: user, Proof: estest.Proof(user, ""), Key: key, Body: body}
}

// query asks and decodes the answer.
func query[T any](b bridge, call es.Call) (value T, err error) {
	b.t.Helper()
	data, err := call.Ask(b.t.Context(), b.Conn)
	if err != nil {
		return value, err
	}
	return value, json.Unmarshal(data, &value)
}

// awaitAnswer asks until the answer fits: the replica that gives it may lag.
func awaitAnswer[T any](b bridge, call es.Call, fits func(T) bool) {
	b.t.Helper()
	for started := time.Now(); ; {
		got, err := query[T](b, call)
		if err == nil && fits(got) {
			return
		}
		if err != nil || time.Since(started) > patience {
			b.t.Fatalf("%s by %s: %+v, %v", call.Command, call.From, got, err)
		}
	}
}

// Two devices make one user; the last one that goes takes the user with it.
func TestDevicesFoldToOneUser(t *testing.T) {
	t.Parallel()
	b := serving(t, 2)
	feed, card := b.Feed(ana), subjects.UserPresence("ana")
	b.device("ana", "phone", "mobile", "active")
	feed.Await("online")
	b.device("ana", "laptop", "web", "idle")
	b.awaitCard(card, "ana", func(c presence.Card) bool {
		return c.Status == "online" && c.Name == "Dr. ana" && c.Avatar != "" && len(c.Devices) == 2 &&
			c.Devices[0].Kind == "web" && c.Devices[0].Status == "idle" && c.Devices[1].Kind == "mobile"
	})
	b.device("ana", "laptop", "web", "away")
	b.device("ana", "phone", "mobile", "away")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "away" })
	b.device("ana", "phone", "mobile", "active")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "online" })
	b.unplugAna("phone")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return len(c.Devices) == 1 })
	b.unplugAna("laptop")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.ID == "" })
	feed.Await("offline")
	if names := b.Names(ana); names[0] != "online" || names[len(names)-1] != "offline" || slices.Contains(names[1:], "online") {
		t.Errorf("stored %v", names)
	}
}

func TestWhoIsInvisibleIsSeenByNobody(t *testing.T) {
	t.Parallel()
	b := serving(t, 1)
	card := subjects.UserPresence("ana")
	b.device("ana", "phone", "mobile", "active")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "online" })
	b.Do(b.command("ana", "set_status", "1", ana, presence.SetStatus{Status: "invisible"}))
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.ID == "" })
	seen, err := query[presence.Card](b, b.command("luis", "status", "1", ana, presence.Status{}))
	if err != nil || seen.Status != "offline" || len(seen.Devices) != 0 || seen.CustomMessage != "" {
		t.Errorf("luis sees %+v, %v", seen, err)
	}
	b.Do(b.command("ana", "clear_status", "2", ana, presence.ClearStatus{}))
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "online" })
}

func TestAGroupSeesItsOwn(t *testing.T) {
	t.Parallel()
	b := serving(t, 2)
	team := subjects.Channel{Kind: "group", ID: "night shift"}
	b.device("ana", "phone", "mobile", "active")
	b.Do(b.command("ana", "create", "1", team, presence.Create{Members: []string{"luis"}}))
	there := func(c presence.Card) bool { return c.ID != "" }
	gone := func(c presence.Card) bool { return c.ID == "" }
	b.awaitCard(subjects.GroupPresence(team.ID), "ana", there)
	awaitAnswer(b, b.command("luis", "who", "1", team, presence.Who{}), func(c company) bool {
		return c.Count == 1 && c.Users[0].ID == "ana" && !c.Users[0].LastActive.IsZero()
	})
	if _, err := query[company](b, b.command("eve", "who", "1", team, presence.Who{})); !errors.Is(err, schemas.Refusal{Code: schemas.Forbidden}) {
		t.Errorf("eve: %v", err)
	}
	b.Do(b.command("ana", "remove", "2", team, presence.Remove{User: "ana"}))
	b.awaitCard(subjects.GroupPresence(team.ID), "ana", gone)
	b.Do(b.command("ana", "add", "3", team, presence.Add{User: "eva"}))
	b.device("eva", "laptop", "web", "active")
	b.awaitCard(subjects.GroupPresence(team.ID), "eva", there)
}

// What ends by itself does so although every process, the server too, was down at
// that moment.
func TestAStatusEndsWhileEverythingIsDown(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	stop := estest.Replica(t, bus, Run)
	b := newBridge(t, bus)
	feed := b.Feed(ana)
	until := time.Now().Add(soon)
	b.Do(b.command("ana", "set_status", "1", ana, presence.SetStatus{Status: "busy", Until: until}))
	feed.Await("status_changed")
	stop()
	bus.Kill(0)
	<-time.After(time.Until(until))
	bus.Restart(t, 0)
	estest.Replica(t, bus, Run)
	var fact presence.StatusChanged
	if err := json.Unmarshal(feed.Await("status_changed").Data, &fact); err != nil {
		t.Fatal(err)
	}
	if fact.Status != "online" || fact.Chosen || fact.By != bySchedule || fact.At.Before(until) {
		t.Errorf("then %+v", fact)
	}
}

func TestPlansAreMadeListedAndTakenBack(t *testing.T) {
	t.Parallel()
	b := serving(t, 1)
	feed := b.Feed(ana)
	from := time.Now().UTC().Add(soon).Truncate(time.Millisecond)
	meeting := presence.Schedule{Schedule: "meeting", Status: "dnd", From: from, Until: from.Add(time.Hour)}
	lunch := presence.Schedule{Schedule: "lunch", Status: "busy", Weekly: &presence.Weekly{
		Days: []int{1, 2, 3, 4, 5}, Start: "13:00", End: "14:00", TimeZone: "Europe/Madrid",
	}}
	b.Do(b.command("ana", "schedule_status", "1", ana, meeting))
	b.Do(b.command("ana", "schedule_status", "2", ana, lunch))
	listed, err := query[plans](b, b.command("ana", "schedules", "3", ana, presence.Schedules{}))
	if err != nil || len(listed.Schedules) != 2 || listed.Next.After(from) {
		t.Errorf("listed %+v, %v", listed, err)
	}
	if _, err := query[plans](b, b.command("eve", "schedules", "3", ana, presence.Schedules{})); !errors.Is(err, schemas.Refusal{Code: schemas.Forbidden}) {
		t.Errorf("eve: %v", err)
	}
	var fact presence.StatusChanged
	if err := json.Unmarshal(feed.Await("status_changed").Data, &fact); err != nil {
		t.Fatal(err)
	}
	if fact.Status != "dnd" || fact.Schedule != "meeting" || !fact.Until.Equal(meeting.Until) {
		t.Errorf("then %+v", fact)
	}
	awaitDoNotDisturb(b, true)
	b.Do(b.command("ana", "cancel_schedule", "4", ana, presence.CancelSchedule{Schedule: "meeting"}))
	awaitDoNotDisturb(b, false)
	b.Do(b.command("ana", "cancel_schedule", "5", ana, presence.CancelSchedule{Schedule: "lunch"}))
	stream, err := b.JS.Stream(t.Context(), subjects.StreamUser)
	if err != nil {
		t.Fatal(err)
	}
	if left, err := stream.GetLastMsgForSubject(t.Context(), ana.Due("deadline")); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("a deadline is left: %v, %v", left, err)
	}
}

// awaitDoNotDisturb returns when ana is, or is not, on the list of who does not want to be disturbed.
func awaitDoNotDisturb(b bridge, want bool) {
	b.t.Helper()
	watch := b.Watch(subjects.BucketDoNotDisturb, subjects.Token("ana"))
	defer func() { _ = watch.Stop() }()
	isListed(watch, want)
}

// isListed returns when a watch says so, or had nothing to say.
func isListed(watch jetstream.KeyWatcher, want bool) {
	listed := false
	for entry := range watch.Updates() { // nil ends what is there already
		if entry != nil {
			listed = entry.Operation() == jetstream.KeyValuePut
		}
		if listed == want {
			return
		}
	}
}

// What was is answered from the facts.
func TestWhoWasThere(t *testing.T) {
	t.Parallel()
	b := serving(t, 1)
	team := subjects.Channel{Kind: "group", ID: "team"}
	b.Do(b.command("ana", "create", "1", team, presence.Create{Members: []string{"luis"}}))
	feed := b.Feed(ana)
	before := time.Now().UTC()
	b.device("ana", "phone", "mobile", "active")
	feed.Await("online")
	b.Do(b.command("ana", "set_status", "2", ana, presence.SetStatus{Status: "busy"}))
	feed.Await("status_changed")
	during := time.Now().UTC()
	b.Do(b.command("ana", "set_status", "3", ana, presence.SetStatus{Status: "invisible"}))
	feed.Await("status_changed")
	b.unplugAna("phone")
	feed.Await("offline")
	after := time.Now().UTC()
	for i, row := range []struct {
		at   time.Time
		want int
	}{{before, 0}, {during, 1}, {after, 0}} {
		got, err := query[company](b, b.command("luis", "who", "1", team, presence.Who{At: row.at}))
		if err != nil || got.Count != row.want || row.want == 1 && got.Users[0].Status != "busy" {
			t.Errorf("moment %d: %+v, %v", i, got, err)
		}
	}
	duty := b.command("ana", "duty", "1", ana, presence.Duty{From: before.Add(-time.Hour)})
	got, err := query[served](b, duty)
	if most := after.Sub(before).Seconds(); err != nil || got.Seconds <= 0 || got.Seconds > most || len(got.Shifts) != 1 || got.ByStatus["busy"] <= 0 {
		t.Errorf("ana was there for %+v, %v, at most %v s", got, err, most)
	}
	if _, told := got.ByStatus["invisible"]; told || got.ByStatus["offline"] <= 0 {
		t.Errorf("who is invisible was seen as %+v", got.ByStatus)
	}
	duty.From, duty.Proof = "luis", estest.Proof("luis", "")
	if _, err := query[served](b, duty); !errors.Is(err, schemas.Refusal{Code: schemas.Forbidden}) {
		t.Errorf("luis: %v", err)
	}
	duty.Proof = estest.Proof("luis", roleSupervisor)
	if again, err := query[served](b, duty); err != nil || again.Seconds != got.Seconds {
		t.Errorf("a supervisor: %+v, %v", again, err)
	}
}

// The same on three servers, one of which dies shortly before: whoever leads the
// stream then holds the schedule.
func TestAStatusEndsAlthoughTheLeaderDied(t *testing.T) {
	t.Parallel()
	bus := bustest.StartCluster(t)
	estest.Replica(t, bus, Run)
	estest.Replica(t, bus, Run)
	b := newBridge(t, bus)
	facts := b.Feed(ana)
	watch := b.Watch(subjects.BucketDoNotDisturb, subjects.Token("ana"))
	defer func() { _ = watch.Stop() }()
	until := time.Now().UTC().Add(soon)
	b.Do(b.command("ana", "set_status", "1", ana, presence.SetStatus{Status: "dnd", Until: until}))
	facts.Await("status_changed")
	isListed(watch, true) // watched from before on, or it might come and go unseen
	bus.Kill(bus.AwaitLeader(t, subjects.StreamUser))
	isListed(watch, false)
	names := b.Names(ana)
	if !slices.Equal(names, []string{"status_changed", "status_changed"}) {
		t.Errorf("stored %v", names)
	}
}

// A plan for every hour of the week is under way at once, and stays planned.
func TestAWeeklyPlanUnderWay(t *testing.T) {
	t.Parallel()
	b := serving(t, 1)
	facts := b.Feed(ana)
	b.Do(b.command("ana", "schedule_status", "1", ana, presence.Schedule{Schedule: "always", Status: "busy", Weekly: &presence.Weekly{
		Days: []int{1, 2, 3, 4, 5, 6, 7}, Start: "00:00", End: "00:00", TimeZone: "America/Lima",
	}}))
	var fact presence.StatusChanged
	if err := json.Unmarshal(facts.Await("status_changed").Data, &fact); err != nil {
		t.Fatal(err)
	}
	if fact.Status != "busy" || fact.Schedule != "always" || fact.Until.Sub(fact.At) > 24*time.Hour {
		t.Errorf("then %+v", fact)
	}
	stream, err := b.JS.Stream(t.Context(), subjects.StreamUser)
	if err != nil {
		t.Fatal(err)
	}
	next, err := stream.GetLastMsgForSubject(t.Context(), ana.Due("deadline"))
	if err != nil || next.Header.Get("Nats-Schedule") != "@at "+fact.Until.Format(time.RFC3339Nano) {
		t.Errorf("next %v, %v, want %v", next, err, fact.Until)
	}
}
