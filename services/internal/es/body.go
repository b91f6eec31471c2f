package es

import (
	"encoding/json"
	"errors"
	"reflect"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// EventBody is what an event carries: its type says what the event is called.
type EventBody interface{ EventName() string }

// CommandBody is what a command carries: its type says what the command is called.
type CommandBody interface{ CommandName() string }

// NewEvent is an event on the command's own channel.
func NewEvent(body EventBody) Event { return Event{Name: body.EventName(), Data: body} }

// Happens lists events on the command's own channel, in the order in which they happen.
func Happens(bodies ...EventBody) []Event {
	events := make([]Event, len(bodies))
	for i, body := range bodies {
		events[i] = NewEvent(body)
	}
	return events
}

// On returns the event as one that happens on another channel.
func (e Event) On(channel subjects.Channel) Event {
	e.Channel = channel
	return e
}

// Decoder makes a typed value of a JSON body.
type Decoder func(body []byte) (any, error)

// Commands lists the decoders of commands that carry such bodies.
func Commands(bodies ...CommandBody) map[string]Decoder {
	decoders := make(map[string]Decoder, len(bodies))
	for _, body := range bodies {
		decoders[body.CommandName()] = decoder(reflect.TypeOf(body))
	}
	return decoders
}

// Facts lists the decoders of events that carry such bodies.
func Facts(bodies ...EventBody) map[string]Decoder {
	decoders := make(map[string]Decoder, len(bodies))
	for _, body := range bodies {
		decoders[body.EventName()] = decoder(reflect.TypeOf(body))
	}
	return decoders
}

// As is the [Decoder] of type T. It takes whole numbers however they are spelled, and
// no null, which encoding/json takes for anything.
func As[T any](body []byte) (any, error) { return decoder(reflect.TypeFor[T]())(body) }

func decoder(of reflect.Type) Decoder {
	return func(body []byte) (any, error) {
		value := reflect.New(of)
		if string(body) == "null" {
			return value.Elem().Interface(), errors.New("null is nothing")
		}
		err := json.Unmarshal(schemas.Digits(body), value.Interface())
		return value.Elem().Interface(), err
	}
}
