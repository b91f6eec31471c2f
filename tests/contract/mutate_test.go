package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// document is a schema as it is written.
type document map[string]any

// schemaFiles lists the schemas in a folder below schemas/, by name.
func schemaFiles(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("..", "..", "schemas", folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".json"); !strings.HasSuffix(name, ".example") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		t.Fatalf("no schemas in %s", folder)
	}
	return names
}

func readJSON(t *testing.T, path string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var value map[string]any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return value
}

// schemaOf reads a schema and its example, the references in it replaced by what
// they refer to.
func schemaOf(t *testing.T, folder, name string) (schema document, example map[string]any) {
	t.Helper()
	base := filepath.Join("..", "..", "schemas", folder)
	resolved, _ := resolve(t, base, readJSON(t, filepath.Join(base, name+".json"))).(map[string]any)
	return resolved, readJSON(t, filepath.Join(base, name+".example.json"))
}

func resolve(t *testing.T, base string, value any) any {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		if reference, ok := value["$ref"].(string); ok {
			path := filepath.Join(base, filepath.FromSlash(reference))
			return resolve(t, filepath.Dir(path), readJSON(t, path))
		}
		for key, inner := range value {
			value[key] = resolve(t, base, inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = resolve(t, base, inner)
		}
	}
	return value
}

// mutants are variants of an example at and beyond the bounds of its schema, each
// with one thing changed, and a name for it.
func mutants(schema document, example map[string]any) map[string]json.RawMessage {
	all := map[string]json.RawMessage{"as it is": text(example)}
	with := func(name string, field string, value any) {
		changed := maps.Clone(example)
		changed[field] = value
		all[name] = text(changed)
	}
	with("an unknown field", "unknown", 1)
	for field := range example {
		with(field+" in capitals", strings.ToUpper(field), 1)
	}
	properties, _ := schema["properties"].(map[string]any)
	for field, property := range properties {
		without := maps.Clone(example)
		delete(without, field)
		all["without "+field] = text(without)
		rule, _ := property.(map[string]any)
		for i, value := range values(rule, example[field]) {
			with(fmt.Sprintf("%s %d", field, i), field, value)
		}
	}
	return all
}

// values are what a property may and may not be.
func values(rule document, example any) []any {
	list := []any{nil, true, 0, -1, 1, json.Number("1.0"), 1.5, json.Number("1e2"), json.Number("1e400"), "", "x", " x", "x\n", "\t", []any{}, map[string]any{}}
	if least, ok := rule["minimum"].(float64); ok {
		list = append(list, number(least), number(least-1))
	}
	if most, ok := rule["maximum"].(float64); ok {
		list = append(list, number(most), number(most+1), number(most*2))
	}
	for _, bound := range []string{"minLength", "maxLength"} {
		if length, ok := rule[bound].(float64); ok {
			list = append(list, strings3(example, int(length))...)
			list = append(list, strings3(example, int(length)+1)...)
			list = append(list, strings3(example, int(length)-1)...)
		}
	}
	if allowed, ok := rule["enum"].([]any); ok {
		list = append(list, allowed...)
		list = append(list, "none of these")
	}
	if rule["format"] == "date-time" {
		for _, at := range []string{
			"2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-12-31T23:59:60Z", "2026-01-01T00:00:00.123456789012Z",
			"2026-01-01T24:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+14:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z",
		} {
			list = append(list, at)
		}
	}
	list = append(list, "1s", "999999d", "0s", "1d", "1h30m", "12:00", "24:00", "7:00", "Europe/Madrid", "Mars/Olympus", "app:"+strings.Repeat("c", 196))
	if most, ok := rule["maxItems"].(float64); ok {
		item := any("x")
		if items, ok := example.([]any); ok && len(items) > 0 {
			item = items[0]
		}
		list = append(list, slices.Repeat([]any{item}, int(most)), slices.Repeat([]any{item}, int(most)+1), []any{nil}, []any{1}, []any{""})
	}
	if inner, ok := example.(map[string]any); ok {
		if _, described := rule["properties"]; described {
			for _, variant := range mutants(rule, inner) {
				list = append(list, variant)
			}
		}
	}
	return list
}

// strings3 are strings of a length, of characters of one, two and four bytes; the
// beginning is the example's, so that a pattern may fit.
func strings3(example any, length int) []any {
	begin, _ := example.(string)
	if kind, _, found := strings.Cut(begin, ":"); found {
		begin = kind + ":"
	}
	if length <= len(begin) {
		return []any{strings.Repeat("x", max(length, 0))}
	}
	var all []any
	for _, character := range []string{"x", "ñ", "😀"} {
		all = append(all, begin+strings.Repeat(character, length-len(begin)))
	}
	return all
}

func number(value float64) json.Number {
	return json.Number(fmt.Sprintf("%.0f", value))
}

// text writes JSON as it was built, numbers as they are spelled.
func text(value any) json.RawMessage {
	var b strings.Builder
	write(&b, value)
	return json.RawMessage(b.String())
}

func write(b *strings.Builder, value any) {
	switch value := value.(type) {
	case map[string]any:
		b.WriteByte('{')
		for i, key := range slices.Sorted(maps.Keys(value)) {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, key)
			b.WriteByte(':')
			write(b, value[key])
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range value {
			if i > 0 {
				b.WriteByte(',')
			}
			write(b, item)
		}
		b.WriteByte(']')
	case json.RawMessage:
		b.Write(value)
	case json.Number:
		b.WriteString(value.String())
	default:
		encoded, err := json.Marshal(value)
		if err != nil {
			panic(err) // strings, booleans and numbers encode
		}
		b.Write(encoded)
	}
}
