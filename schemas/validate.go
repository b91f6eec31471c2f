package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxMessage bounds a message, in characters: a refusal quotes the caller's data, which may be long.
const maxMessage = 200

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
	compiler := newCompiler()
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

func newCompiler() *jsonschema.Compiler {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, format := range nameFormats {
		compiler.RegisterFormat(format)
	}
	compiler.RegisterFormat(&jsonschema.Format{Name: "date-time", Validate: isTime})
	return compiler
}

// isTime takes the times of RFC 3339 that Go decodes, and encodes again as they are and in UTC: it knows no leap seconds, no
// small letters, no year after 9999 and no zone a whole day away.
func isTime(value any) error {
	text, ok := value.(string)
	if !ok {
		return nil // the schema's type judges it
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	_, asItIs := t.MarshalText()
	_, inUTC := t.UTC().MarshalText()
	return errors.Join(asItIs, inUTC)
}

// Validate refuses data that [Canonical] refuses, and with [InvalidData] and a sentence that names the field data that does
// not fit. The cost is linear in the data's size, which the caller bounds.
func (s *Schema) Validate(data []byte) error {
	if _, err := Canonical("", data, 0); err != nil {
		return err
	}
	if s.compiled == nil {
		return nil
	}
	// Numbers become float64: arbitrary precision would let "1e1000000" cost what the sender likes.
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return fmt.Errorf("validate %s: %w", s.Name, err)
	}
	err := s.compiled.Validate(value)
	if failure, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		refusal := Refuse(InvalidData, "%s", explain(failure))
		refusal.Field = field(failure)
		if refusal.Field == "" && s.isBody() {
			refusal.Field, refusal.Message = "data", "data: "+refusal.Message
		}
		return refusal
	}
	if err != nil {
		return fmt.Errorf("validate %s: %w", s.Name, err)
	}
	return nil
}

// isBody says whether what it judges is the data of a command or an event, which callers know by that name.
func (s *Schema) isBody() bool {
	return strings.Contains(s.Name, "/commands/") || strings.Contains(s.Name, "/events/")
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
