package native

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// Decode implements [wire.Dialect].
func (Dialect) Decode(data []byte) (wire.Request, error) {
	f, err := fields(data)
	if err != nil {
		return nil, err
	}
	switch f.Op {
	case "hello":
		return wire.Hello{Token: f.Token, Client: f.Client, Resume: f.Session, Device: f.Device}, nil
	case "pong":
		return wire.Pong{}, nil
	case "activity":
		return wire.Activity{}, nil
	}
	ref := f.ref()
	if ref == "" {
		return nil, malformed("", schemas.InvalidFrame, "a request needs an id, a positive integer")
	}
	if len(f.Key) > subjects.MaxKey {
		return nil, malformed(ref, schemas.InvalidFrame, "a key has at most "+strconv.Itoa(subjects.MaxKey)+" bytes")
	}
	return f.request(ref)
}

func (f *frame) request(ref string) (wire.Request, error) {
	switch f.Op {
	case "subscribe":
		return f.subscribe(ref)
	case "unsubscribe":
		return wire.Unsubscribe{Ref: ref, Channel: f.Channel}, nil
	case "publish":
		if f.Event == "" {
			return nil, malformed(ref, schemas.InvalidFrame, "publish needs an event")
		}
		return wire.Publish{Ref: ref, Channel: f.Channel, Event: f.Event, Key: f.Key, Data: orObject(f.Data)}, nil
	case "call":
		if f.Command == "" {
			return nil, malformed(ref, schemas.InvalidFrame, "call needs a command")
		}
		return wire.Call{Ref: ref, Channel: f.Channel, Command: f.Command, Key: f.Key, Data: orObject(f.Data)}, nil
	case "track":
		return wire.Track{Ref: ref, Channel: f.Channel, Meta: f.Meta, Key: f.Key, Place: f.Position}, nil
	case "untrack":
		return wire.Untrack{Ref: ref, Channel: f.Channel}, nil
	case "count":
		return wire.Count{Ref: ref, Channel: f.Channel}, nil
	case "watch":
		return wire.Watch{Ref: ref, Users: f.Users}, nil
	case "ping":
		return wire.Probe{Ref: ref}, nil
	case "token":
		return wire.Token{Ref: ref, Token: f.Token}, nil
	}
	return nil, malformed(ref, schemas.UnknownOp, "no operation "+strconv.Quote(f.Op))
}

func (f *frame) subscribe(ref string) (wire.Request, error) {
	request := wire.Subscribe{Ref: ref, Channel: f.Channel, Since: f.Since, Presence: f.Presence}
	if len(f.Last) == 0 || string(f.Last) == "null" {
		return request, nil
	}
	if json.Unmarshal(f.Last, &request.Count) == nil && request.Count > 0 {
		return request, nil
	}
	var age string
	if json.Unmarshal(f.Last, &age) == nil && parseAge(age, &request.Age) {
		return request, nil
	}
	return nil, malformed(ref, schemas.InvalidFrame, `last is a count or a duration such as "1h"`)
}

// parseAge reads a number of seconds, minutes, hours or days, such as "1h", or any
// duration as Go writes it. Longer than Go's longest is as long as that.
func parseAge(text string, age *time.Duration) bool {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 20)
		*age = time.Duration(min(n, math.MaxInt64/uint64(day))) * day
		return err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	*age = d
	return err == nil && d > 0
}

const day = 24 * time.Hour

func orObject(data json.RawMessage) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage(`{}`)
	}
	return data
}

func malformed(ref string, code schemas.Code, text string) error {
	return &wire.MalformedError{Ref: ref, Code: int(code), Text: text}
}
