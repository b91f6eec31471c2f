package native

import (
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// DecodePublish reads the body of an HTTP request that says what the frame
// publish says, {event, key?, data}, to the channel that its address names.
func DecodePublish(channel string, body []byte) (wire.Publish, error) {
	f, err := publishBody.read(body)
	return wire.Publish{Channel: channel, Event: f.Event, Key: f.Key, Data: f.Data}, err
}

// DecodeCall reads the body of an HTTP request that says what the frame call says,
// {key?, data}, to the owner of the channel that its address names.
func DecodeCall(channel, command string, body []byte) (wire.Call, error) {
	f, err := callBody.read(body)
	return wire.Call{Channel: channel, Command: command, Key: f.Key, Data: f.Data}, err
}

// read takes a body apart, as a frame.
func (s shape) read(body []byte) (frame, error) {
	canonical, err := schemas.CanonicalBody(body)
	if err != nil {
		return frame{}, err
	}
	f, err := fields(canonical)
	if err != nil {
		return f, schemas.Refuse(schemas.InvalidJSON, `the body is one JSON object such as {"data":{}}`)
	}
	if wrong := s.judge(&f); wrong != "" {
		if s.must&^f.has != 0 {
			wrong += `: what is sent stands in "data"`
		}
		return f, schemas.Refuse(schemas.InvalidFrame, "%s", wrong)
	}
	return f, nil
}
