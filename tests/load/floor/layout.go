// Package floor is the server that every figure is compared with: it accepts
// WebSockets, writes frames, and does nothing else. No JSON, no tokens, no bus,
// no limits, one thread. What it costs is what the machine and its kernel cost,
// so a ratio to it stays when they change. What is to be stored goes to a file,
// with one write, and one flush if that is wanted, for all that came together.
//
// It says the same bytes as Latido to subscribers, and takes binary requests:
// an operation, an id, a room, and a body that is passed on as it is.
//
// Imports: frame, and golang.org/x.
package floor

import "encoding/binary"

// Operation is what a request asks for.
type Operation byte

const (
	Subscribe Operation = iota + 1 // follow the room
	Replay                         // the same, after what the room has kept
	Publish                        // give the body to those who follow the room
	Keep                           // the same, but stored first, and kept for those who come later
)

const requestHeader = 1 + 4 + 4

// Request is one thing that a client asks for.
type Request struct {
	Operation Operation
	ID        uint32
	Room      uint32
	Body      []byte
}

// Append appends the request as the payload of a binary message.
func (r Request) Append(dst []byte) []byte {
	dst = append(dst, byte(r.Operation))
	dst = binary.BigEndian.AppendUint32(dst, r.ID)
	dst = binary.BigEndian.AppendUint32(dst, r.Room)
	return append(dst, r.Body...)
}

// ParseRequest reads a request; its body is part of payload.
func ParseRequest(payload []byte) (r Request, ok bool) {
	if len(payload) < requestHeader {
		return Request{}, false
	}
	return Request{
		Operation: Operation(payload[0]),
		ID:        binary.BigEndian.Uint32(payload[1:]),
		Room:      binary.BigEndian.Uint32(payload[5:]),
		Body:      payload[requestHeader:],
	}, true
}

const (
	answerMark = 'A' // events are JSON objects and begin otherwise
	answerSize = 1 + 4
)

// AppendAnswer appends the payload that says that a request is done.
func AppendAnswer(dst []byte, id uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, answerMark), id)
}

// ParseAnswer reads an answer; anything else is an event.
func ParseAnswer(payload []byte) (id uint32, ok bool) {
	if len(payload) != answerSize || payload[0] != answerMark {
		return 0, false
	}
	return binary.BigEndian.Uint32(payload[1:]), true
}
