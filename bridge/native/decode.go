package native

import (
	"strconv"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// Decode implements [wire.Codec]. A frame has the fields that its schema gives
// the request, and no others.
func (Dialect) Decode(data []byte, binary bool) (wire.Request, error) {
	if binary {
		return nil, wire.ErrBinary
	}
	f, err := fields(data)
	if err != nil {
		return nil, err
	}
	shape, known := shapes[f.Op]
	if !known && f.ID != "" && f.has&setOf("op") != 0 {
		return nil, malformed(f.ID, schemas.UnknownOp, "no operation "+strconv.Quote(clip(f.Op)))
	}
	if !known {
		return nil, malformed(f.ID, schemas.InvalidFrame, "a request has an op, and an id that is a positive integer")
	}
	if wrong := shape.judge(&f); wrong != "" {
		return nil, malformed(f.ID, f.code, wrong)
	}
	return f.request(), nil
}

func (f *frame) request() wire.Request {
	switch f.Op {
	case "hello":
		return wire.Hello{Token: f.Token, Client: f.Client, Resume: f.Session, Device: f.Device, Generation: f.Generation}
	case "subscribe":
		return wire.Subscribe{Ref: f.ID, Channel: f.Channel, Since: f.Since, Count: f.Count, Age: f.Age, Anew: f.Anew, Presence: f.Presence}
	case "unsubscribe":
		return wire.Unsubscribe{Ref: f.ID, Channel: f.Channel}
	case "publish":
		return wire.Publish{Ref: f.ID, Channel: f.Channel, Event: f.Event, Key: f.Key, Data: f.Data}
	case "call":
		return wire.Call{Ref: f.ID, Channel: f.Channel, Command: f.Command, Key: f.Key, Data: f.Data}
	case "track":
		return wire.Track{Ref: f.ID, Channel: f.Channel, Meta: f.Meta, Key: f.Key, Place: f.Position}
	case "untrack":
		return wire.Untrack{Ref: f.ID, Channel: f.Channel}
	case "count":
		return wire.Count{Ref: f.ID, Channel: f.Channel}
	case "watch":
		return wire.Watch{Ref: f.ID, Users: f.Users}
	case "probe":
		return wire.Probe{Ref: f.ID}
	case "token":
		return wire.Token{Ref: f.ID, Token: f.Token}
	case "activity":
		return wire.Activity{}
	}
	return wire.Pong{}
}

func malformed(ref string, code schemas.Code, text string) error {
	return &wire.MalformedError{Ref: ref, Code: int(code), Text: text}
}
