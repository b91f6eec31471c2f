package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

const (
	maxDepth   = 64  // brackets within brackets, far beyond any body of ours
	maxMessage = 200 // characters; a refusal quotes the caller's data, which may be long
)

// Schema judges the bodies of one command, event or frame. It is safe for concurrent use.
type Schema struct {
	Name     string             // its file, as "chat/events/new_message"
	compiled *jsonschema.Schema // nil: any JSON will do
}

// Compile reads a schema of the caller's own. It stands alone: it refers to no file.
func Compile(name string, text []byte) (*Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := compiler.AddResource(base+name, document); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	compiled, err := compiler.Compile(base + name)
	if err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	return &Schema{Name: name, compiled: compiled}, nil
}

// Validate refuses data that is no sound JSON with [InvalidJSON], and data that does not fit with [InvalidData] and a
// sentence that names the field. The cost is linear in the data's size, which the caller bounds.
func (s *Schema) Validate(data []byte) error {
	if err := sound(data); err != nil {
		return err
	}
	if s.compiled == nil {
		return nil
	}
	// Numbers become float64: arbitrary precision would let "1e1000000" cost what the sender likes.
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return Refuse(InvalidJSON, "a number is out of range")
	}
	err := s.compiled.Validate(value)
	if failure, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		refusal := Refuse(InvalidData, "%s", explain(failure))
		refusal.Field = field(failure)
		return refusal
	}
	if err != nil {
		return fmt.Errorf("validate %s: %w", s.Name, err)
	}
	return nil
}

// sound refuses what some reader down the line could not take: no JSON, text that a WebSocket may not carry, endless nesting.
func sound(data []byte) error {
	switch {
	case tooDeep(data):
		return Refuse(InvalidJSON, "nested deeper than %d levels", maxDepth)
	case !utf8.Valid(data):
		return Refuse(InvalidJSON, "the text is not UTF-8")
	case !json.Valid(data):
		return Refuse(InvalidJSON, "the body is not JSON")
	}
	return nil
}

// tooDeep counts brackets outside of strings; it need not know more, as a text that is no JSON is refused anyway.
func tooDeep(data []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// explain puts the first failure, in the order of the text, into one line such as "lat: maximum: got 91, want 90".
func explain(failure *jsonschema.ValidationError) string {
	line := firstLine(failure)
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, line)
	if runes := []rune(line); len(runes) > maxMessage {
		line = string(runes[:maxMessage]) + "…"
	}
	return line
}

// field is the name of the part that explain speaks of, or "" when that is the whole.
func field(failure *jsonschema.ValidationError) string {
	for len(failure.Causes) > 0 {
		failure = slices.MinFunc(failure.Causes, func(a, b *jsonschema.ValidationError) int {
			return strings.Compare(firstLine(a), firstLine(b))
		})
	}
	path := slices.Clone(failure.InstanceLocation)
	if lack, ok := failure.ErrorKind.(*kind.Required); ok && len(lack.Missing) > 0 {
		path = append(path, lack.Missing[0])
	}
	if extra, ok := failure.ErrorKind.(*kind.AdditionalProperties); ok && len(extra.Properties) > 0 {
		path = append(path, extra.Properties[0])
	}
	return strings.Join(path, ".")
}

// firstLine picks the smallest of all failures, since the validator walks objects in no particular order.
func firstLine(failure *jsonschema.ValidationError) string {
	if len(failure.Causes) == 0 {
		field := strings.Join(failure.InstanceLocation, ".")
		bare := jsonschema.ValidationError{SchemaURL: failure.SchemaURL, ErrorKind: failure.ErrorKind}
		what := strings.TrimPrefix(bare.Error(), "at '': ")
		if field == "" {
			return what
		}
		return field + ": " + what
	}
	first := firstLine(failure.Causes[0])
	for _, cause := range failure.Causes[1:] {
		first = min(first, firstLine(cause))
	}
	return first
}
