package schemas

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Bounds of names, in bytes of UTF-8. The schemas' maxLength says the same of
// characters, which is as exact for ASCII; the formats below see to the rest.
const (
	MaxChannel = 250 // of a channel's name, "kind:id": escaped it leaves a NATS subject well below its 4 KB
	MaxEvent   = 100 // of an event's name
	MaxKey     = 200 // of an idempotency key
)

var (
	errEventName   = fmt.Errorf("an event's name has 1 to %d bytes and no control characters", MaxEvent)
	errKey         = fmt.Errorf("a key has 1 to %d bytes and no control characters", MaxKey)
	errChannelName = fmt.Errorf("a channel is named kind:id, in at most %d bytes", MaxChannel)
)

// CheckEvent says why a text cannot name an event, or nil.
func CheckEvent(name string) error {
	if !isLine(name, MaxEvent) {
		return errEventName
	}
	return nil
}

// CheckKey says why a text cannot be an idempotency key, or nil.
func CheckKey(key string) error {
	if !isLine(key, MaxKey) {
		return errKey
	}
	return nil
}

// isLine says whether a text has 1 to most bytes of UTF-8 and no control characters (Unicode's Cc).
func isLine(text string, most int) bool {
	return text != "" && len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// checkChannel says why a text cannot name a channel, or nil. That its kind is one
// is seen to by the pattern.
func checkChannel(name string) error {
	if len(name) > MaxChannel {
		return errChannelName
	}
	return nil
}

// nameFormats are the formats of our schemas for texts that are bounded in bytes.
var nameFormats = []*jsonschema.Format{
	textFormat("user", CheckUser), textFormat("event", CheckEvent), textFormat("key", CheckKey), textFormat("channel", checkChannel),
}

func textFormat(name string, check func(string) error) *jsonschema.Format {
	return &jsonschema.Format{Name: name, Validate: func(value any) error {
		if text, isText := value.(string); isText {
			return check(text)
		}
		return nil
	}}
}

// Fields are the names of the fields that an object must have, and of those it may
// have beside; ok is false for the schema of something else.
func (s *Schema) Fields() (must, may []string, ok bool) {
	if s.compiled == nil || s.compiled.Properties == nil {
		return nil, nil, false
	}
	for name := range s.compiled.Properties {
		may = append(may, name)
	}
	return s.compiled.Required, may, true
}
