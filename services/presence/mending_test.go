package presence

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Two replicas know of things at different times. What they tell goes forward only:
// the one that is behind does not take back what the other has told.
func TestCardsGoForwardOnly(t *testing.T) {
	t.Parallel()
	b := serving(t, 2)
	card := subjects.UserPresence("ana")
	watch, err := b.sessions.Watch(t.Context(), card.Present())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Stop() }()
	const changes = 50
	b.device("ana", "phone", "mobile", "active")
	team := subjects.Channel{Kind: "group", ID: "team"}
	b.Do(b.command("ana", "create", "create", team, presence.Create{Members: []string{}}))
	for i := range changes {
		message := fmt.Sprintf("%03d", i)
		b.Do(b.command("ana", "set_status", message, ana, presence.SetStatus{Status: "busy", CustomMessage: message}))
		if i%10 == 0 {
			b.device("ana", "laptop", "web", []string{"active", "idle"}[i/10%2])
		}
	}
	said, devices := "", 0
	for said != fmt.Sprintf("%03d", changes-1) {
		entry := <-watch.Updates()
		if entry == nil {
			continue
		}
		var value struct{ Meta presence.Card }
		if err := json.Unmarshal(entry.Value(), &value); err != nil {
			t.Fatalf("%v of %s", err, entry.Operation())
		}
		if value.Meta.CustomMessage < said || len(value.Meta.Devices) < devices {
			t.Fatalf("%+v after %q and %d devices", value.Meta, said, devices)
		}
		said, devices = value.Meta.CustomMessage, len(value.Meta.Devices)
	}
}

// Cards that became wrong while no replica was there are mended by the first one.
func TestCardsAreMended(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	stop := estest.Replica(t, bus, Run)
	b := newBridge(t, bus)
	there := func(c presence.Card) bool { return c.ID != "" }
	gone := func(c presence.Card) bool { return c.ID == "" }
	for _, user := range []string{"ana", "luis"} {
		b.device(user, "phone", "mobile", "active")
		b.awaitCard(subjects.UserPresence(user), user, there)
	}
	stop()
	b.unplugAna("phone")
	b.write(seat.Leave(cardKey(subjects.UserPresence("luis"), "luis"), 0))
	estest.Replica(t, bus, Run)
	b.awaitCard(subjects.UserPresence("ana"), "ana", gone)
	b.awaitCard(subjects.UserPresence("luis"), "luis", there)
}

// forget removes what a bucket says of a key, that it was removed, too, as age does.
func (b bridge) forget(bucket, key string) {
	b.t.Helper()
	msg := nats.NewMsg("$KV." + bucket + "." + key)
	msg.Header.Set(jetstream.MsgTTLHeader, "1")
	msg.Header.Set("KV-Operation", "DEL")
	b.write(msg)
	stream, err := b.JS.Stream(b.t.Context(), "KV_"+bucket)
	if err != nil {
		b.t.Fatal(err)
	}
	for err == nil {
		_, err = stream.GetLastMsgForSubject(b.t.Context(), msg.Subject)
	}
	if !errors.Is(err, jetstream.ErrMsgNotFound) {
		b.t.Fatal(err)
	}
}

// A card may be made from a marker that is gone since: who begins after that knows
// as much.
func TestCardsAreMendedAfterMarkersAreGone(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	stop := estest.Replica(t, bus, Run)
	b := newBridge(t, bus)
	team, card := subjects.Channel{Kind: "group", ID: "team"}, subjects.UserPresence("ana")
	gone := func(c presence.Card) bool { return c.ID == "" }
	b.device("ana", "phone", "mobile", "active")
	b.Do(b.command("ana", "create", "1", team, presence.Create{Members: []string{}}))
	b.awaitCard(subjects.GroupPresence(team.ID), "ana", func(c presence.Card) bool { return c.ID != "" })
	b.Do(b.command("ana", "remove", "2", team, presence.Remove{User: "ana"}))
	b.awaitCard(subjects.GroupPresence(team.ID), "ana", gone)
	b.Do(b.command("ana", "set_status", "3", ana, presence.SetStatus{Status: "busy"}))
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "busy" })
	stop()
	b.forget(subjects.BucketMembers, team.Member("ana"))
	b.unplugAna("phone")
	estest.Replica(t, bus, Run)
	b.awaitCard(card, "ana", gone)
}

// The bucket "members" holds rooms, too, of which a replica that runs sees nothing.
// What another writes that has just begun must not be beyond it.
func TestACardIsOfNoRevisionThatOthersMissed(t *testing.T) {
	t.Parallel()
	v := newView(everybody{}, &counts{})
	v.members, v.grouped = 1000, 400
	p := v.person("ana")
	p.state.Online, p.sessions["phone"] = true, session{User: "ana"}
	key := cardKey(subjects.UserPresence("ana"), "ana")
	for stands, want := range map[uint64]uint64{0: 400, 300: 400, 500: 500} {
		p.cards[key] = posted{revision: 1, asOf: presence.AsOf{Members: stands}}
		list := v.changes("ana", time.Now())
		var written presence.Entry
		if len(list) != 1 || json.Unmarshal(list[0].value, &written) != nil || written.AsOf == nil || written.AsOf.Members != want {
			t.Errorf("in place of one of %d: %+v, want one of %d", stands, written.AsOf, want)
		}
	}
}

// What somebody did while nobody kept may have left no trace but an older session.
func TestWhoWentAwayWhileNobodyKept(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	stop := estest.Replica(t, bus, Run)
	b := newBridge(t, bus)
	card := subjects.UserPresence("ana")
	b.device("ana", "laptop", "web", "away")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "away" })
	b.device("ana", "phone", "mobile", "active")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "online" })
	stop()
	b.forget(subjects.BucketPresence, subjects.PresenceKey(node, ana.Seat("ana", "phone")))
	estest.Replica(t, bus, Run)
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.Status == "away" })
}

// An observation that is older than what is known changes nothing, but the cards
// are those of who is there.
func TestCardsAreMendedAlthoughAnObservationIsDropped(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b := newBridge(t, bus)
	state, err := json.Marshal(User{Online: true, Since: time.Now().Add(time.Hour)}) // by a clock that was ahead
	if err != nil {
		t.Fatal(err)
	}
	fact := &nats.Msg{Subject: ana.Event(), Data: []byte("{}"), Header: nats.Header{
		subjects.HeaderEvent: {subjects.Token("online")}, "Latido-State": {string(state)},
	}}
	if _, err := b.JS.PublishMsg(t.Context(), fact); err != nil {
		t.Fatal(err)
	}
	b.device("ana", "phone", "mobile", "active")
	estest.Replica(t, bus, Run)
	card := subjects.UserPresence("ana")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.ID != "" })
	b.unplugAna("phone")
	b.awaitCard(card, "ana", func(c presence.Card) bool { return c.ID == "" })
	if names := b.Names(ana); !slices.Equal(names, []string{"online"}) {
		t.Errorf("stored %v", names)
	}
}

// Of several names and pictures every look finds the same, or cards would flicker.
func TestACardHasTheNameOfTheNewestSession(t *testing.T) {
	t.Parallel()
	began := time.Now()
	p := person{sessions: map[string]session{
		"a": {Name: "Ana", Since: began, About: presence.About{Avatar: "old"}},
		"b": {Name: "Dr. Ana", Since: began.Add(time.Hour), About: presence.About{Avatar: "new"}},
		"c": {Name: "Dr. Ana Ruiz", Since: began.Add(time.Hour)},
		"d": {Since: began.Add(2 * time.Hour)},
	}}
	for range 100 {
		if card := p.look("ana", User{Online: true}); card.Name != "Dr. Ana" || card.Avatar != "new" {
			t.Fatalf("%s, %s", card.Name, card.Avatar)
		}
	}
}
