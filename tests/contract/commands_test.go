package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// TestCommandsAreAsTheirSchemasSay sends the boundary values of every command's
// body: what its schema forbids is refused as invalid, and what it allows is never
// "internal", nor refused without naming the field.
func TestCommandsAreAsTheirSchemasSay(t *testing.T) {
	t.Parallel()
	s := run(t, generous)
	for kind, of := range subjects.Catalog {
		for _, name := range schemas.Commands(kind) {
			t.Run(kind+" "+name, func(t *testing.T) {
				t.Parallel()
				schema, err := schemas.Command(kind, name)
				if err != nil {
					t.Fatal(err)
				}
				written, example := schemaOf(t, of.Owner+"/commands", name)
				c := s.hello(t)
				variants := mutants(written, example)
				for i, variant := range slices.Sorted(maps.Keys(variants)) {
					data := variants[variant]
					id := fmt.Sprintf("c%d", i)
					if kind == "user" {
						id = "ana"
					}
					frame := text(map[string]any{
						"id": i + 1, "op": "call", "channel": kind + ":" + id, "command": name, "data": data, "key": fmt.Sprint(name, i),
					})
					told := c.outcome(frame)
					judgeCommand(t, variant, data, schema.Validate(data) == nil, told)
				}
			})
		}
	}
}

func judgeCommand(t *testing.T, variant string, data json.RawMessage, fits bool, told kit.Frame) {
	t.Helper()
	code := told.Code()
	invalid := code == schemas.InvalidData || code == schemas.InvalidJSON
	switch {
	case code == schemas.Internal, code == schemas.Timeout, code == schemas.Unavailable, told["op"] == kit.Closed:
		t.Errorf("%s: %v: %.300s", variant, told, data)
	case !fits && !invalid:
		t.Errorf("%s: the schema forbids it, but %v: %.300s", variant, told, data)
	case fits && code == schemas.InvalidJSON:
		t.Errorf("%s: the schema allows it, but %v: %.300s", variant, told, data)
	}
}
