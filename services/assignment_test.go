package services_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	chatschema "github.com/latido/latido/schemas/chat"
	schema "github.com/latido/latido/schemas/ops"
	presenceschema "github.com/latido/latido/schemas/presence"
	trackingschema "github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/services/ops"
	"github.com/latido/latido/services/presence"
	"github.com/latido/latido/services/tracking"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

var (
	order = subjects.Channel{Kind: "ops", ID: "1"}
	room  = subjects.Channel{Kind: "room", ID: "1"}
	track = subjects.Channel{Kind: "tracking", ID: "1"}
)

func TestAnAcceptedRequestIsAssigned(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	for _, run := range []estest.Run{chat.Run, tracking.Run, ops.Run, ops.Run} {
		estest.Replica(t, bus, run)
	}
	caller := estest.NewCaller(t, bus)
	feed := caller.Feed(order)
	caller.Do(es.Call{
		Channel: order, Command: "request", From: "ana", Key: "k",
		Body: schema.Request{Zona: "centro", Precio: 12.5},
	})
	caller.Do(es.Call{Channel: order, Command: "accept", From: "olga", Proof: estest.Proof("olga", "operator"), Key: "k", Body: schema.Accept{}})
	checkAssigned(t, caller, feed)
}

// The process that accepted may die before the order's channels are open.
func TestAssignmentIsMadeUpFor(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	caller := estest.NewCaller(t, bus)
	feed := caller.Feed(order)
	caller.Store(order, es.NewEvent(schema.Requested{Client: "ana", Zona: "centro", Precio: 12.5}))
	caller.Store(order, es.NewEvent(schema.Accepted{Operator: "olga"}))
	for _, run := range []estest.Run{ops.Run, chat.Run, tracking.Run, ops.Run} {
		estest.Replica(t, bus, run)
	}
	checkAssigned(t, caller, feed)
}

func checkAssigned(t *testing.T, caller estest.Caller, feed estest.Feed) {
	t.Helper()
	var got schema.Assigned
	if err := json.Unmarshal(feed.Await("assigned").Data, &got); err != nil {
		t.Fatal(err)
	}
	if want := (schema.Assigned{Client: "ana", Operator: "olga", Room: "room:1", Tracking: "tracking:1"}); got != want {
		t.Errorf("assigned %+v, want %+v", got, want)
	}
	for _, want := range []struct {
		channel    subjects.Channel
		user, role string
	}{
		{room, "ana", "member"},
		{room, "olga", "member"},
		{room, "service:ops", ""},
		{track, "ana", "watcher"},
		{track, "olga", "operator"},
		{order, "ana", "client"},
		{order, "olga", "operator"},
	} {
		if want.channel == order {
			caller.AwaitRole(want.channel, want.user, want.role) // projected beside the reactor
		} else if got := caller.Role(want.channel, want.user); got != want.role {
			t.Errorf("role of %s in %s = %q, want %q", want.user, want.channel, got, want.role)
		}
	}
	if names := caller.Names(order); !slices.Equal(names, []string{"requested", "accepted", "assigned"}) {
		t.Errorf("stored %v", names)
	}
}

// The ids of requests are no secret. Whoever opened an order's room or track before
// it was assigned loses it, and what it was open to.
func TestWhoeverSquatsAnOrderIsPutOut(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	for _, run := range []estest.Run{chat.Run, tracking.Run, ops.Run} {
		estest.Replica(t, bus, run)
	}
	caller := estest.NewCaller(t, bus)
	feed := caller.Feed(order)
	caller.Do(es.Call{
		Channel: room, Command: "open", From: "eve", Key: "k",
		Body: chatschema.Open{Members: []string{"mallory", "ana"}, Public: true},
	})
	caller.Do(es.Call{
		Channel: track, Command: "open", From: "eve", Key: "k",
		Body: trackingschema.Open{Operator: "eve", Watchers: []string{"mallory", "ana"}, Public: true},
	})
	caller.Do(es.Call{
		Channel: order, Command: "request", From: "ana", Key: "k",
		Body: schema.Request{Zona: "centro", Precio: 12.5},
	})
	caller.Do(es.Call{Channel: order, Command: "accept", From: "olga", Proof: estest.Proof("olga", "operator"), Key: "k", Body: schema.Accept{}})
	checkAssigned(t, caller, feed)
	for _, channel := range []subjects.Channel{room, track} {
		for _, user := range []string{"eve", "mallory", ""} {
			if role := caller.Role(channel, user); role != "" {
				t.Errorf("%q is %s of %s", user, role, channel)
			}
		}
	}
	caller.Refused(schemas.Forbidden, es.Call{Channel: room, Command: "post", From: "eve", Key: "k2", Body: chatschema.Post{Text: "hola"}})
}

// That somebody does not want to be disturbed is for who notifies them, in the
// bucket "quiet", and not for the room.
func TestAMessageDoesNotTellWhoIsNotToBeDisturbed(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	for _, run := range []estest.Run{chat.Run, presence.Run} {
		estest.Replica(t, bus, run)
	}
	caller := estest.NewCaller(t, bus)
	list, err := caller.JS.KeyValue(t.Context(), subjects.BucketDoNotDisturb)
	if err != nil {
		t.Fatal(err)
	}
	watch, err := list.Watch(t.Context(), subjects.Token("luis"), jetstream.UpdatesOnly())
	if err != nil {
		t.Fatal(err)
	}
	luis := subjects.Channel{Kind: "user", ID: "luis"}
	caller.Do(es.Call{Channel: room, Command: "open", From: "ana", Key: "k", Body: chatschema.Open{Members: []string{"luis"}}})
	caller.Do(es.Call{Channel: luis, Command: "set_status", From: "luis", Key: "k", Body: presenceschema.SetStatus{Status: "dnd"}})
	<-watch.Updates()
	feed := caller.Feed(room)
	caller.Do(es.Call{Channel: room, Command: "post", From: "ana", Key: "post", Body: chatschema.Post{Text: "hola"}})
	if said := string(feed.Await("new_message").Data); strings.Contains(said, "luis") {
		t.Errorf("the room is told %s", said)
	}
}
