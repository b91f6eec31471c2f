package services_test

import (
	"encoding/json"
	"slices"
	"testing"

	schema "github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/services/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/services/ops"
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
		Channel: order, Command: "request", From: "ana", Role: "client", Key: "k",
		Body: schema.Request{Zona: "centro", Precio: 12.5},
	})
	caller.Do(es.Call{Channel: order, Command: "accept", From: "olga", Role: "operator", Key: "k", Body: schema.Accept{}})
	checkAssigned(t, caller, feed)
}

// The process that accepted may die before the order's channels are open.
func TestAssignmentIsMadeUpFor(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	caller := estest.NewCaller(t, bus)
	feed := caller.Feed(order)
	caller.Store(order, es.Event{Name: "requested", Data: schema.Requested{Client: "ana", Zona: "centro", Precio: 12.5}})
	caller.Store(order, es.Event{Name: "accepted", Data: schema.Accepted{Operator: "olga"}})
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
