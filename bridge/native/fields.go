package native

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// frame holds the fields of every request.
type frame struct {
	Op, Channel, Event, Command, Key string
	Token, Client, Session           string
	ID                               string // as it is answered, "" unless it is an integer from 1 to 2^53-1
	Data, Meta                       json.RawMessage
	Generation                       uint64        // of a session, or 0
	Count                            int           // of last, or 0
	Age                              time.Duration // of last, or 0
	Since                            *wire.Position
	Presence, Anew                   bool
	Device                           string // its kind
	Position                         *wire.Place
	Users                            []string

	has     set
	unknown string // a field that no request has
	wrong   string // what is wrong with a value
	code    schemas.Code
}

// fields takes a frame apart. The whole frame is made canonical, and so are the
// data within; gjson finds the fields in place, at a third of the cost of decoding
// them. What is wrong with the fields is judged when the shape is known.
func fields(data []byte) (frame, error) {
	f := frame{code: schemas.InvalidFrame}
	canonical, err := schemas.CanonicalBody(data)
	if err != nil {
		refusal := schemas.RefusalOf(err)
		return f, malformed(refOf(data), refusal.Code, refusal.Message)
	}
	root := gjson.ParseBytes(canonical)
	if !root.IsObject() {
		return f, malformed("", schemas.InvalidFrame, "a frame is one JSON object")
	}
	root.ForEach(func(key, value gjson.Result) bool {
		f.take(key.Str, value)
		return true
	})
	return f, nil
}

// take sets a field, and notes what is wrong with its value.
func (f *frame) take(name string, value gjson.Result) {
	field := bitOf[name]
	if field == 0 {
		if f.unknown == "" {
			f.unknown = clip(name)
		}
		return
	}
	f.has |= field
	if wrong := f.set(name, value); wrong != "" && f.wrong == "" {
		f.wrong = name + ": " + wrong
		if name == "position" {
			f.code = schemas.InvalidData // it is what the app says, not how it is asked
		}
	}
}

// clip bounds what an answer repeats of a frame.
func clip(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}

const wrongType = "is of the wrong type"

// set sets a field, and says what is wrong with its value, or nothing.
func (f *frame) set(name string, value gjson.Result) string {
	switch name {
	case "op":
		return text(&f.Op, value, nil)
	case "id":
		return f.setID(value)
	case "channel":
		return text(&f.Channel, value, nil) // what it names is judged where channels are known
	case "event":
		return text(&f.Event, value, schemas.CheckEvent)
	case "command":
		return text(&f.Command, value, nil)
	case "key":
		return text(&f.Key, value, schemas.CheckKey)
	case "token":
		return text(&f.Token, value, nil) // a token that is too long is none
	case "client":
		return bounded(&f.Client, value, 100)
	case "session":
		return bounded(&f.Session, value, 256)
	case "generation":
		return f.setGeneration(value)
	case "batch":
		return truth(new(bool), value)
	case "presence":
		return truth(&f.Presence, value)
	case "anew":
		return truth(&f.Anew, value)
	case "data":
		f.Data = json.RawMessage(value.Raw)
	case "meta":
		f.Meta = json.RawMessage(value.Raw)
	case "last":
		return f.setLast(value)
	case "since":
		return f.setSince(value)
	case "device":
		f.Device = value.Get("kind").Str
		return part("device", value, new(struct{ Kind string }))
	case "position":
		f.Position = new(wire.Place)
		return part("place", value, f.Position)
	case "users":
		return f.setUsers(value)
	}
	return ""
}

func text(field *string, value gjson.Result, check func(string) error) string {
	if value.Type != gjson.String {
		return wrongType
	}
	*field = value.Str
	if check != nil {
		if err := check(value.Str); err != nil {
			return err.Error()
		}
	}
	return ""
}

// bounded is a text of at most most characters.
func bounded(field *string, value gjson.Result, most int) string {
	if wrong := text(field, value, nil); wrong != "" {
		return wrong
	}
	if utf8.RuneCountInString(*field) > most {
		return "has at most " + strconv.Itoa(most) + " characters"
	}
	return ""
}

func truth(field *bool, value gjson.Result) string {
	*field = value.Type == gjson.True
	if !value.IsBool() {
		return wrongType
	}
	return ""
}

// part is an object that a schema of its own describes.
func part(name string, value gjson.Result, into any) string {
	schema, err := schemas.Part(name)
	if err == nil {
		err = schema.Validate([]byte(value.Raw))
	}
	if err == nil {
		err = json.Unmarshal([]byte(value.Raw), into)
	}
	if err != nil {
		return schemas.RefusalOf(err).Sentence()
	}
	return ""
}

// setID takes an integer in any spelling: 7, 7.0 and 7e0 are one (JSON Schema
// 2020-12, section 6.1.1).
func (f *frame) setID(value gjson.Result) string {
	id, ok := integer(value)
	if !ok || id == 0 {
		return "is an integer from 1 to 2^53-1"
	}
	f.ID = value.Raw
	if !isPlain(value.Raw) {
		f.ID = strconv.FormatUint(id, 10)
	}
	return ""
}

func (f *frame) setGeneration(value gjson.Result) string {
	generation, ok := integer(value)
	if !ok {
		return "is an integer from 0 to 2^53-1"
	}
	f.Generation = generation
	return ""
}

func isPlain(number string) bool { return !strings.ContainsAny(number, ".eE") }

// integer reads a number without a sign, of at most 2^53-1.
func integer(value gjson.Result) (uint64, bool) {
	const most = 1<<53 - 1
	if value.Type != gjson.Number {
		return 0, false
	}
	if isPlain(value.Raw) {
		n, err := strconv.ParseUint(value.Raw, 10, 53)
		return n, err == nil
	}
	n := uint64(value.Num)
	return n, value.Num >= 0 && value.Num <= most && float64(n) == value.Num
}

// refOf finds the id of a frame that is JSON, but not for every reader.
func refOf(data []byte) string {
	if !json.Valid(data) {
		return ""
	}
	var f frame
	f.setID(gjson.GetBytes(data, "id"))
	return f.ID
}
