package services_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/services/chat"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/services/ops"
	"github.com/latido/latido/services/presence"
	"github.com/latido/latido/services/tracking"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// A command that bridges pass and no service answers looks like a service that is away,
// and one that they do not pass might as well not be there: so the kinds take what the
// services show on the bus, no more and no less.
func TestServicesAnswerTheCommandsOfTheirKinds(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	runs := map[string]estest.Run{"chat": chat.Run, "ops": ops.Run, "presence": presence.Run, "tracking": tracking.Run}
	want := make(map[string][]string)
	for name, kind := range subjects.Catalog {
		if kind.Owner == "" {
			continue
		}
		for _, command := range schemas.Commands(name) {
			want[kind.Owner] = append(want[kind.Owner], subjects.CommandPattern(name, command), subjects.ServiceCommandPattern(name, command))
		}
		for event, command := range kind.Publish {
			if !slices.Contains(schemas.Commands(name), command) {
				t.Errorf("%s %s: no command %s", name, event, command)
			}
		}
	}
	if owners := slices.Sorted(maps.Keys(want)); !slices.Equal(owners, slices.Sorted(maps.Keys(runs))) {
		t.Fatalf("the owners of channels are %v", owners)
	}
	caller := estest.NewCaller(t, bus)
	for service, run := range runs {
		estest.Replica(t, bus, run)
		reply, err := caller.Conn.RequestWithContext(t.Context(), "$SRV.INFO."+service, nil)
		if err != nil {
			t.Fatal(err)
		}
		var info micro.Info
		if err := json.Unmarshal(reply.Data, &info); err != nil {
			t.Fatal(err)
		}
		var answered []string
		for _, endpoint := range info.Endpoints {
			answered = append(answered, endpoint.Subject)
		}
		slices.Sort(answered)
		slices.Sort(want[service])
		if !slices.Equal(answered, want[service]) {
			t.Errorf("%s answers %q, its kinds take %q", service, answered, want[service])
		}
	}
}
