package schemas_test

import (
	"errors"
	"testing"

	"github.com/latido/latido/schemas"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		find       func(kind, name string) (*schemas.Schema, error)
		kind, name string
		file       string
		refused    schemas.Code
	}{
		{find: schemas.Command, kind: "room", name: "post", file: "chat/commands/post"},
		{find: schemas.Command, kind: "tracking", name: "report", file: "tracking/commands/report"},
		{find: schemas.Command, kind: "ops", name: "accept", file: "ops/commands/accept"},
		{find: schemas.Command, kind: "global", name: "announce", file: "ops/commands/announce"},
		{find: schemas.Command, kind: "user", name: "observe", file: "presence/commands/observe"},
		{find: schemas.Event, kind: "room", name: "new_message", file: "chat/events/new_message"},
		{find: schemas.Event, kind: "room", name: "typing", file: "chat/events/typing"},
		{find: schemas.Event, kind: "app", name: "whatever they like", file: "app/whatever they like"},
		{find: schemas.Command, kind: "room", name: "new_message", refused: schemas.UnknownCommand},
		{find: schemas.Command, kind: "room", name: "../events/typing", refused: schemas.UnknownCommand},
		{find: schemas.Command, kind: "user", name: "who", refused: schemas.UnknownCommand},
		{find: schemas.Command, kind: "group", name: "observe", refused: schemas.UnknownCommand},
		{find: schemas.Command, kind: "global", name: "accept", refused: schemas.UnknownCommand},
		{find: schemas.Command, kind: "ops", name: "announce", refused: schemas.UnknownCommand},
		{find: schemas.Command, kind: "room", name: "", refused: schemas.UnknownCommand},
		{find: schemas.Command, kind: "app", name: "open", refused: schemas.UnknownKind},
		{find: schemas.Event, kind: "room", name: "post", refused: schemas.UnknownEvent},
		{find: schemas.Event, kind: "bridge", name: "event", refused: schemas.UnknownKind},
		{find: schemas.Event, kind: "", name: "", refused: schemas.UnknownKind},
	} {
		found, err := row.find(row.kind, row.name)
		switch {
		case row.refused != 0:
			if !errors.Is(err, schemas.Refusal{Code: row.refused}) {
				t.Errorf("%s %s: got %v, want a refusal %d", row.kind, row.name, err, row.refused)
			}
		case err != nil:
			t.Errorf("%s %s: %v", row.kind, row.name, err)
		case found.Name != row.file:
			t.Errorf("%s %s: got %s, want %s", row.kind, row.name, found.Name, row.file)
		}
	}
}

func TestFramesAreFound(t *testing.T) {
	t.Parallel()
	if _, err := schemas.Request("subscribe"); err != nil {
		t.Error(err)
	}
	if _, err := schemas.Notice("presence_state"); err != nil {
		t.Error(err)
	}
	if _, err := schemas.Request("event"); !errors.Is(err, schemas.Refusal{Code: schemas.UnknownOp}) {
		t.Errorf("a notice was taken for a request: %v", err)
	}
}
