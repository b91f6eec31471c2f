package dialect

import (
	"bytes"

	"github.com/latido/latido/tests/load/frame"
)

// Latido speaks the native protocol: live channels are of kind app, stored ones
// of kind log, which the server is told of, and those decided about are public rooms.
type Latido struct{}

// Endpoint implements [Dialect].
func (Latido) Endpoint() (path, protocol string) { return "/ws", "latido.v1" }

// Hello implements [Dialect].
func (Latido) Hello(dst []byte, s *Session) []byte {
	text := append([]byte(`{"op":"hello","client":"load/1","batch":true,"token":"`), s.Token...)
	if s.resume != nil {
		text = append(append(text, `","session":"`...), s.resume...)
	}
	return frame.Append(dst, frame.Text, append(text, `"}`...))
}

// Subscribe implements [Dialect].
func (Latido) Subscribe(dst []byte, _ *Session, id uint32, c *Channel) []byte {
	return frame.Append(dst, frame.Text, append(begin(id, "subscribe", c), '}'))
}

// Return implements [Dialect].
func (Latido) Return(dst []byte, s *Session, id uint32, c *Channel) []byte {
	if s.position == nil {
		return frame.Append(dst, frame.Text, append(begin(id, "subscribe", c), `,"last":"24h"}`...))
	}
	text := append(begin(id, "subscribe", c), `,"since":`...)
	return frame.Append(dst, frame.Text, append(append(text, s.position...), '}'))
}

// Publish implements [Dialect].
func (Latido) Publish(dst []byte, _ *Session, id uint32, c *Channel, body []byte) []byte {
	text := append(begin(id, "publish", c), `,"event":"new_message","data":`...)
	return frame.Append(dst, frame.Text, append(append(text, body...), '}'))
}

// Opens implements [Opener].
func (Latido) Opens(c *Channel) bool { return c.Keeping == Decided }

// Open implements [Opener].
func (Latido) Open(dst []byte, _ *Session, id uint32, c *Channel) []byte {
	text := append(begin(id, "call", c), `,"command":"open","data":{"members":[],"public":true}}`...)
	return frame.Append(dst, frame.Text, text)
}

// Track implements [Tracker].
func (Latido) Track(dst []byte, _ *Session, first uint32, c *Channel, meta []byte) []byte {
	dst = frame.Append(dst, frame.Text, append(begin(first, "subscribe", c), `,"presence":true}`...))
	text := append(append(begin(first+1, "track", c), `,"meta":`...), meta...)
	return frame.Append(dst, frame.Text, append(text, '}'))
}

// Answers implements [Dialect].
func (Latido) Answers(*Channel) bool { return true }

func begin(id uint32, operation string, c *Channel) []byte {
	text := appendID([]byte(`{"id":`), id)
	text = append(append(append(text, `,"op":"`...), operation...), `","channel":"`...)
	return append(appendChannel(text, c), '"')
}

// Scan implements [Dialect].
func (l Latido) Scan(s *Session, data []byte, to Sink) []byte {
	for {
		opcode, payload, size := frame.Cut(data)
		if size == 0 {
			return data
		}
		data = data[size:]
		switch opcode {
		case frame.Text:
			l.message(s, payload, to)
		case frame.Ping:
			to.Reply(s, frame.Append(nil, frame.Pong, payload))
		case frame.Close:
			to.Trouble(s, 0, append([]byte("closed: "), payload[min(2, len(payload)):]...))
		case frame.Continuation, frame.Binary, frame.Pong:
			to.Trouble(s, 0, []byte("an unexpected kind of frame"))
		}
	}
}

// message takes the objects of one message, each on a line.
func (l Latido) message(s *Session, text []byte, to Sink) {
	for len(text) > 0 {
		line := text
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		l.object(s, line, to)
	}
}

// object tells objects apart by the letters that differ in how the bridge spells
// them: {"op":"event" and {"id":7.
func (Latido) object(s *Session, line []byte, to Sink) {
	const name = len(`{"op":"`)
	if len(line) <= name+1 {
		to.Trouble(s, 0, line)
		return
	}
	if line[2] == 'i' {
		s.answered(line, to)
		return
	}
	switch string(line[name : name+2]) {
	case "ev", "pr":
		to.Event(s, line)
	case "pi":
		to.Reply(s, frame.Append(nil, frame.Text, []byte(`{"op":"pong"}`)))
	case "we":
		s.resume = append(s.resume[:0], value(line, `"session":"`, '"')...)
		to.Ready(s)
	case "er":
		id := digits(value(line, `"id":`, ','))
		to.Trouble(s, id, line)
	default:
		to.Trouble(s, 0, line)
	}
}

func (s *Session) answered(line []byte, to Sink) {
	id := digits(line[len(`{"id":`):])
	if position := value(line, `"position":`, '}'); position != nil {
		s.position = append(append(s.position[:0], position...), '}')
	}
	to.Answer(s, id)
}

// value is what stands between a name and the byte that ends it, or nil.
func value(line []byte, name string, end byte) []byte {
	_, after, _ := bytes.Cut(line, []byte(name))
	found, _, ended := bytes.Cut(after, []byte{end})
	if !ended {
		return nil
	}
	return found
}
