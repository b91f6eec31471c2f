package schemas

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/latido/latido/subjects"
)

// Files holds all schemas, their examples beside them, by their paths below this folder.
func Files() fs.FS { return files }

// shares says which of its owner's commands a kind takes, where an owner has several kinds. A kind that is not named
// takes all of them.
var shares = map[string][]string{
	"ops":    {"accept", "assign", "offer", "request", "withdraw"},
	"global": {"announce"},
	"user": {
		"cancel_schedule", "clear_status", "due", "duty", "observe", "schedule_status", "schedules", "set_status", "status",
	},
	"group": {"add", "create", "remove", "who"},
}

// folder is where the events and commands of a kind of channel are described: it has its owner's name. A kind without
// an owner has none.
func folder(kind string) (string, error) {
	if owner := subjects.Catalog[kind].Owner; owner != "" {
		return owner, nil
	}
	return "", Refuse(UnknownKind, "there are no channels of kind %q", kind)
}

// anyEventKind is the kind of channels whose events are anybody's, and any JSON.
const anyEventKind = "app"

// everywhere is the event that means the same on every kind of channel.
const everywhere = "typing"

// Command finds the schema of a command's body. It refuses with [UnknownKind] or [UnknownCommand].
func Command(kind, name string) (*Schema, error) {
	folder, err := folder(kind)
	if err != nil {
		return nil, err
	}
	unknown := Refuse(UnknownCommand, "channels of kind %s know no command %q", kind, name)
	if share, shared := shares[kind]; shared && !slices.Contains(share, name) {
		return nil, unknown
	}
	return find(folder+"/commands/"+name, unknown)
}

// Commands lists the commands that channels of a kind take, sorted.
func Commands(kind string) []string {
	if share, shared := shares[kind]; shared {
		return slices.Clone(share)
	}
	folder, err := folder(kind)
	if err != nil {
		return nil
	}
	var names []string
	for path := range compiled() {
		if name, below := strings.CutPrefix(path, folder+"/commands/"); below {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Event finds the schema of an event's body, be the event stored or live. It refuses with [UnknownKind] or [UnknownEvent].
// Events of app channels may carry any JSON.
func Event(kind, name string) (*Schema, error) {
	if kind == anyEventKind {
		return &Schema{Name: kind + "/" + name}, nil
	}
	folder, err := folder(kind)
	if err != nil {
		return nil, err
	}
	path := folder + "/events/" + name
	if name == everywhere {
		path = "chat/events/" + name
	}
	return find(path, Refuse(UnknownEvent, "channels of kind %s have no event %q", kind, name))
}

// Request finds the schema of a frame that clients of the native dialect send. It refuses with [UnknownOp].
func Request(name string) (*Schema, error) {
	return find("bridge/requests/"+name, Refuse(UnknownOp, "no operation %q", name))
}

// Part finds the schema of an object within the frames of the native dialect, such as "position". It refuses with [UnknownOp].
func Part(name string) (*Schema, error) {
	return find("bridge/"+name, Refuse(UnknownOp, "no part %q", name))
}

// Notice finds the schema of a frame that the native dialect sends to clients. It refuses with [UnknownOp].
func Notice(name string) (*Schema, error) {
	return find("bridge/notices/"+name, Refuse(UnknownOp, "no notice %q", name))
}

// Value finds the schema of a value in a bucket, by the owner of what it says, such as "presence" and "entry". It refuses with
// [UnknownOp].
func Value(owner, name string) (*Schema, error) {
	return find(owner+"/"+name, Refuse(UnknownOp, "no value %q", name))
}

// find looks a schema up; what a caller is told of one that is missing speaks of their request, not of our files.
func find(name string, otherwise Refusal) (*Schema, error) {
	if schema, ok := compiled()[name]; ok {
		return schema, nil
	}
	return nil, otherwise
}

// compiled maps a file's path without ".json" to its schema. A schema that does not compile is a defect of this build,
// which the tests find, hence the panic.
var compiled = sync.OnceValue(func() map[string]*Schema {
	schemas, err := compile(files)
	if err != nil {
		panic("schemas: " + err.Error())
	}
	return schemas
})

func compile(source fs.FS) (map[string]*Schema, error) {
	compiler := newCompiler()
	ids, err := addAll(compiler, source)
	if err != nil {
		return nil, err
	}
	schemas := make(map[string]*Schema, len(ids))
	for name, id := range ids {
		compiled, err := compiler.Compile(id)
		if err != nil {
			return nil, fmt.Errorf("compile %s: %w", name, err)
		}
		schemas[name] = &Schema{Name: name, compiled: compiled}
	}
	return schemas, nil
}

// addAll makes every schema known before any is compiled, as they refer to each other.
func addAll(compiler *jsonschema.Compiler, source fs.FS) (ids map[string]string, err error) {
	ids = make(map[string]string)
	err = fs.WalkDir(source, ".", func(path string, _ fs.DirEntry, err error) error {
		name, isJSON := strings.CutSuffix(path, ".json")
		if err != nil || !isJSON || name == "errors" || strings.HasSuffix(name, ".example") {
			return err
		}
		text, err := fs.ReadFile(source, path)
		if err != nil {
			return err
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		ids[name] = base + path
		return compiler.AddResource(ids[name], document)
	})
	return ids, err
}

// base precedes a file's path in its $id. It names, it is not fetched.
const base = "https://github.com/latido/latido/schemas/"
