// Package sample makes bodies at random: such as a schema takes, spelled in every way that JSON allows, and any other JSON.
// It is for tests: what a schema takes, all who read it have to read.
//
// Imports: schemas.
package sample

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/latido/latido/schemas"
)

// Body makes a body of the schema with a name, as "chat/commands/post". The schema takes nearly all of them: a time may be
// one that no schema takes, to see that it is refused by name.
func Body(tb testing.TB, random *rand.Rand, name string) []byte {
	tb.Helper()
	m := maker{tb, random}
	return m.value(load(tb, name+".json"), path.Dir(name))
}

// JSON makes any JSON of at most some levels.
func JSON(random *rand.Rand, levels int) []byte { return maker{random: random}.anything(levels) }

type maker struct {
	tb     testing.TB
	random *rand.Rand
}

func load(tb testing.TB, file string) map[string]any {
	tb.Helper()
	text, err := fs.ReadFile(schemas.Files(), file)
	if err != nil {
		tb.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		tb.Fatal(err)
	}
	return schema
}

func (m maker) half() bool { return m.random.IntN(2) == 0 }

func pick[T any](m maker, from ...T) T { return from[m.random.IntN(len(from))] }

func (m maker) value(schema map[string]any, folder string) []byte {
	if reference, ok := schema["$ref"].(string); ok {
		file := path.Join(folder, reference)
		return m.value(load(m.tb, file), path.Dir(file))
	}
	if listed, ok := schema["enum"].([]any); ok {
		return m.text(fmt.Sprint(pick(m, listed...)))
	}
	if constant, ok := schema["const"]; ok {
		return m.text(fmt.Sprint(constant))
	}
	if choices, ok := schema["anyOf"].([]any); ok {
		return m.value(pick(m, choices...).(map[string]any), folder)
	}
	switch schema["type"] {
	case "object":
		return m.object(schema, folder)
	case "array":
		return m.list(schema, folder)
	case "string":
		return m.text(m.words(schema))
	case "boolean":
		return []byte(pick(m, "true", "false"))
	case "integer":
		return m.integer(number(schema, "minimum"), number(schema, "maximum"))
	case "number":
		return m.number(number(schema, "minimum"), number(schema, "maximum"))
	}
	return m.anything(4)
}

func number(schema map[string]any, keyword string) float64 {
	value, _ := schema[keyword].(float64)
	return value
}

func (m maker) object(schema map[string]any, folder string) []byte {
	required := make(map[string]bool)
	for _, name := range list(schema["required"]) {
		required[fmt.Sprint(name)] = true
	}
	properties, _ := schema["properties"].(map[string]any)
	members := make(map[string][]byte)
	for name, property := range properties {
		if required[name] || m.half() {
			members[name] = m.value(property.(map[string]any), folder)
		}
	}
	return m.members(members)
}

func list(value any) []any {
	items, _ := value.([]any)
	return items
}

func (m maker) members(members map[string][]byte) []byte {
	out := []byte("{")
	for name, value := range members {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(append(m.blanks(out), m.text(name)...), m.blanks(nil)...), ':'), m.blanks(nil)...)
		out = m.blanks(append(out, value...))
	}
	return append(out, '}')
}

func (m maker) list(schema map[string]any, folder string) []byte {
	least, most := int(number(schema, "minItems")), int(number(schema, "maxItems"))
	out := []byte("[")
	for i := range max(least, min(m.random.IntN(4), most)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = m.blanks(append(m.blanks(out), m.value(schema["items"].(map[string]any), folder)...))
	}
	return append(out, ']')
}

// blanks appends what may stand between two tokens.
func (m maker) blanks(out []byte) []byte {
	if m.random.IntN(4) > 0 {
		return out
	}
	return append(out, pick(m, " ", "\n", "\r\n\t", "  ")...)
}

// integer spells a whole number as JSON Schema allows it (2020-12, section 4.2.3).
func (m maker) integer(least, most float64) []byte {
	n := int64(pick(m, least, most, least+m.random.Float64()*min(most-least, 1000)))
	digits := strconv.FormatInt(n, 10)
	return []byte(pick(m, digits, digits, digits, digits+".0", digits+"e0", digits+"0e-1"))
}

func (m maker) number(least, most float64) []byte {
	n := pick(m, least, most, least+m.random.Float64()*min(most-least, 180), 0)
	n = max(least, min(n, most))
	return []byte(pick(m, strconv.FormatFloat(n, 'g', -1, 64), strconv.FormatFloat(n, 'e', -1, 64), strconv.FormatFloat(n, 'f', 20, 64)))
}

// text spells a string in one of its many ways.
func (m maker) text(plain string) []byte {
	if m.half() {
		quoted, _ := json.Marshal(plain) // a string always encodes
		return quoted
	}
	out := []byte{'"'}
	for _, r := range plain {
		switch {
		case r > 0xffff || m.random.IntN(3) > 0 && r >= ' ' && r != '"' && r != '\\':
			out = append(out, string(r)...)
		case r == '/' && m.half():
			out = append(out, `\/`...)
		default:
			out = fmt.Appendf(out, pick(m, `\u%04x`, `\u%04X`), r)
		}
	}
	return append(out, '"')
}

// anything makes any JSON of at most some levels.
func (m maker) anything(levels int) []byte {
	kinds := 6
	if levels <= 0 {
		kinds = 4
	}
	switch m.random.IntN(kinds) {
	case 0:
		return []byte(pick(m, "null", "true", "false"))
	case 1:
		return []byte(pick(m, "0", "-0", "12345678901234567890", "1e308", "-1.5E-7", "0.1", "1.0", "5e-324", strconv.Itoa(m.random.IntN(1000))))
	case 2, 3:
		return m.text(m.any(m.random.IntN(12)))
	case 4:
		out := []byte("[")
		for i := range m.random.IntN(4) {
			if i > 0 {
				out = append(out, ',')
			}
			out = m.blanks(append(m.blanks(out), m.anything(levels-1)...))
		}
		return append(out, ']')
	}
	members := make(map[string][]byte)
	for range m.random.IntN(4) {
		members[m.any(m.random.IntN(6))] = m.anything(levels - 1)
	}
	return m.members(members)
}

// any is a text of n characters, such as people write, and such as break what was not meant for them.
func (m maker) any(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(pick(m, "a", "ñ", "漢", "😀", "\n", "\r\n", "\u2028", "\u2029", `"`, `\`, "/", "<", "&", "\x01", "\x7f", "\ufffd", "\ufeff", "e\u0301", "\u200d", " "))
	}
	return b.String()
}

// Text makes a string of n characters.
func Text(random *rand.Rand, n int) []byte {
	m := maker{random: random}
	return m.text(m.any(n))
}
