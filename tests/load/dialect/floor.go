package dialect

import (
	"github.com/latido/latido/tests/load/floor"
	"github.com/latido/latido/tests/load/frame"
)

// Floor speaks to the floor server. What it publishes is what Latido would say to
// subscribers, so that both write the same bytes.
type Floor struct{}

// Endpoint implements [Dialect].
func (Floor) Endpoint() (path, protocol string) { return "/", "" }

// Hello implements [Dialect]: the floor lets everybody in; the answer says when.
func (Floor) Hello(dst []byte, _ *Session) []byte {
	return request(dst, floor.Subscribe, 0, &Channel{Number: ^uint32(0)}, nil)
}

// Subscribe implements [Dialect].
func (Floor) Subscribe(dst []byte, _ *Session, id uint32, c *Channel) []byte {
	return request(dst, floor.Subscribe, id, c, nil)
}

// Return implements [Dialect].
func (Floor) Return(dst []byte, _ *Session, id uint32, c *Channel) []byte {
	return request(dst, floor.Replay, id, c, nil)
}

// Publish implements [Dialect].
func (Floor) Publish(dst []byte, _ *Session, id uint32, c *Channel, body []byte) []byte {
	operation := floor.Publish
	if c.Keeping != Live {
		operation = floor.Keep
	}
	return request(dst, operation, id, c, AppendEvent(nil, c, body))
}

// Track implements [Tracker]: a join is an event as long as Latido's.
func (f Floor) Track(dst []byte, s *Session, first uint32, c *Channel, meta []byte) []byte {
	dst = f.Subscribe(dst, s, first, c)
	event := append(appendChannel([]byte(`{"op":"presence","channel":"`), c), `","joins":[{"user":"`...)
	event = append(append(event, s.User...), `","ref":"aaaaaaaaaaaaaaaa","meta":`...)
	event = append(append(event, meta...), `,"since":"2026-01-01T00:00:00.000Z"}],"count":1000}`...)
	return request(dst, floor.Publish, first+1, c, event)
}

// Answers implements [Dialect].
func (Floor) Answers(*Channel) bool { return true }

// Scan implements [Dialect].
func (Floor) Scan(s *Session, data []byte, to Sink) []byte {
	for {
		_, payload, size := frame.Cut(data)
		if size == 0 {
			return data
		}
		data = data[size:]
		switch id, answer := floor.ParseAnswer(payload); {
		case !answer:
			to.Event(s, payload)
		case id == 0:
			to.Ready(s)
		default:
			to.Answer(s, id)
		}
	}
}

func request(dst []byte, operation floor.Operation, id uint32, c *Channel, body []byte) []byte {
	payload := floor.Request{Operation: operation, ID: id, Room: c.Number, Body: body}.Append(nil)
	return frame.Append(dst, frame.Binary, payload)
}
