package schemas

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/latido/latido/subjects"
)

// TestEveryFile holds each schema to the habits of this folder: it compiles, says what it is, lets nothing pass that it
// does not name, bounds what it names, and has an example that fits.
func TestEveryFile(t *testing.T) {
	t.Parallel()
	all, err := compile(files)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 60 {
		t.Fatalf("found %d schemas only", len(all))
	}
	for name, schema := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var document map[string]any
			if err := json.Unmarshal(read(t, name+".json"), &document); err != nil {
				t.Fatal(err)
			}
			if want := base + name + ".json"; document["$id"] != want {
				t.Errorf("$id is %v, want %s", document["$id"], want)
			}
			for _, keyword := range []string{"$schema", "title", "description"} {
				if text, _ := document[keyword].(string); text == "" {
					t.Errorf("no %s", keyword)
				}
			}
			requireBounds(t, name, document)
			if err := schema.Validate(read(t, name+".example.json")); err != nil {
				t.Errorf("example: %v", err)
			}
		})
	}
}

func TestNoExampleWithoutSchema(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(files, ".", func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(path, ".example.json"); ok && compiled()[name] == nil {
			t.Errorf("%s shows nothing", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryKindHasItsFolder fails when the owner of a kind describes nothing, when a folder of schemas belongs to no kind,
// or a command.
func TestEveryKindHasItsFolder(t *testing.T) {
	t.Parallel()
	owned := map[string]bool{"bridge": true}
	for kind, of := range subjects.Catalog {
		if of.Owner == "" {
			continue
		}
		owned[of.Owner] = true
		if _, err := fs.Stat(files, of.Owner+"/events"); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		for _, command := range Commands(kind) {
			owned[of.Owner+"/commands/"+command] = true
			if _, err := Command(kind, command); err != nil {
				t.Error(err)
			}
		}
	}
	for name := range compiled() {
		folder, rest, nested := strings.Cut(name, "/")
		if nested && !owned[folder] || strings.HasPrefix(rest, "commands/") && !owned[name] {
			t.Errorf("%s belongs to no kind", name)
		}
	}
}

// requireBounds walks a schema and names each part that would let a sender send without end.
func requireBounds(t *testing.T, where string, schema map[string]any) {
	t.Helper()
	need := func(keywords ...string) {
		for _, keyword := range keywords {
			if _, ok := schema[keyword]; !ok {
				t.Errorf("%s has no %s", where, keyword)
			}
		}
	}
	switch schema["type"] {
	case "object":
		if schema["additionalProperties"] != false {
			t.Errorf("%s allows additional properties", where)
		}
	case "array":
		need("items", "maxItems")
	case "number", "integer":
		need("minimum", "maximum")
	case "string":
		_, formatted := schema["format"]
		_, patterned := schema["pattern"]
		_, listed := schema["enum"]
		if !formatted && !patterned && !listed {
			need("maxLength")
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		requireBounds(t, where+"."+name, property.(map[string]any))
	}
	if items, ok := schema["items"].(map[string]any); ok {
		requireBounds(t, where+"[]", items)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := fs.ReadFile(files, path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
