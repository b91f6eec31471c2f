package stack_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// A command that bridges pass and no service answers looks like a service that is away,
// and one that they do not pass might as well not be there: so the kinds take what the
// services show on the bus, no more and no less.
func TestServicesAnswerTheCommandsOfTheirKinds(t *testing.T) {
	t.Parallel()
	want := make(map[string][]string)
	for name, kind := range subjects.Catalog {
		if kind.Owner != "" && !slices.Contains(services(), kind.Owner) {
			t.Errorf("%s belongs to %s, which is no service", name, kind.Owner)
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
	nc := inside(t, start(t, config(t)))
	for _, service := range services() {
		reply, err := nc.Request("$SRV.INFO."+service, nil, patience)
		if err != nil {
			t.Fatal(service, err)
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
