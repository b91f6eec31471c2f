package native

import (
	"encoding/json"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// frame holds the fields of every request.
type frame struct {
	Op, Channel, Event, Command, Key string
	Token, Client, Session           string
	ID                               string // as it was written
	Data, Meta, Last                 json.RawMessage
	Since                            *wire.Position
	Presence                         bool
	Device                           string // its kind
	Position                         *wire.Place
	Users                            []string
}

// fields takes a frame apart. Unknown fields are passed over, null is as if
// absent but where it is what somebody says: in data and meta. The whole frame is made canonical, and so are the data within; gjson
// finds the fields in place, at a third of the cost of decoding them.
func fields(data []byte) (frame, error) {
	var f frame
	canonical, err := schemas.CanonicalBody(data)
	if err != nil {
		refusal := schemas.RefusalOf(err)
		return f, malformed(refOf(data), refusal.Code, refusal.Message)
	}
	root := gjson.ParseBytes(canonical)
	if !root.IsObject() {
		return f, malformed("", schemas.InvalidFrame, "a frame is one JSON object")
	}
	wrong := ""
	root.ForEach(func(key, value gjson.Result) bool {
		says := key.Str == "data" || key.Str == "meta"
		if (value.Type != gjson.Null || says) && !f.take(key.Str, value) {
			wrong = key.Str
		}
		return true
	})
	if wrong != "" {
		return f, malformed(f.ref(), schemas.InvalidFrame, "field "+strconv.Quote(wrong)+" is of the wrong type")
	}
	return f, nil
}

// take sets a field, and says whether the value is of its type.
func (f *frame) take(name string, value gjson.Result) bool {
	text := func(field *string) bool {
		*field = value.Str
		return value.Type == gjson.String
	}
	raw := func(field *json.RawMessage) bool {
		*field = json.RawMessage(value.Raw)
		return true
	}
	switch name {
	case "op":
		return text(&f.Op)
	case "id":
		f.ID = value.Raw
	case "channel":
		return text(&f.Channel)
	case "event":
		return text(&f.Event)
	case "command":
		return text(&f.Command)
	case "key":
		return text(&f.Key)
	case "token":
		return text(&f.Token)
	case "client":
		return text(&f.Client)
	case "session":
		return text(&f.Session)
	case "data":
		return raw(&f.Data)
	case "meta":
		return raw(&f.Meta)
	case "last":
		return raw(&f.Last)
	case "since":
		f.Since = new(wire.Position)
		return json.Unmarshal([]byte(value.Raw), f.Since) == nil
	case "presence":
		f.Presence = value.Type == gjson.True
		return value.IsBool()
	case "device":
		f.Device = value.Get("kind").Str
		return value.IsObject()
	case "position":
		f.Position = new(wire.Place)
		return json.Unmarshal([]byte(value.Raw), f.Position) == nil
	case "users":
		return json.Unmarshal([]byte(value.Raw), &f.Users) == nil
	}
	return true
}

// ref is the request's id, or "" when it is not a positive integer.
func (f *frame) ref() string {
	if id, err := strconv.ParseUint(f.ID, 10, 53); err != nil || id == 0 {
		return ""
	}
	return f.ID
}

// refOf finds the id of a frame that is JSON, but not for every reader.
func refOf(data []byte) string {
	if !json.Valid(data) {
		return ""
	}
	f := frame{ID: gjson.GetBytes(data, "id").Raw}
	return f.ref()
}
