package websocket

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

// ProtocolError ends a connection: the peer broke the protocol or a limit.
type ProtocolError struct {
	Code int // close code
	Text string
}

func (v *ProtocolError) Error() string { return fmt.Sprintf("websocket: %s (%d)", v.Text, v.Code) }

// Reader takes bytes as they come and hands out whole messages. The zero value,
// with Limit set, is ready; it keeps bytes only while a frame or a fragmented
// message is incomplete.
type Reader struct {
	Limit    int  // most bytes of one message
	Compress bool // permessage-deflate was agreed on

	partial []byte // an incomplete frame
	message []byte // payload of the fragments so far
	opcode  Opcode // of the fragmented message; 0 when there is none
	packed  bool   // it is compressed
}

// Feed consumes data, which it may overwrite but does not keep, and calls handle
// with each whole message and control frame. The payload is valid during the
// call only. A [*ProtocolError] or an error of handle ends the connection.
func (r *Reader) Feed(data []byte, handle func(Opcode, []byte) error) error {
	kept := len(r.partial) > 0
	if kept {
		r.partial = append(r.partial, data...)
		data = r.partial
	}
	for {
		frame, size, err := r.parse(data)
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		if err := r.accept(frame, handle); err != nil {
			return err
		}
		data = data[size:]
	}
	switch {
	case len(data) == 0:
		r.partial = nil
	case !kept:
		r.partial = append([]byte(nil), data...)
	case len(data) < len(r.partial):
		r.partial = r.partial[:copy(r.partial, data)]
	}
	return nil
}

type frame struct {
	fin     bool
	packed  bool
	opcode  Opcode
	payload []byte
}

// parse reads one frame from the front of data and unmasks it in place. A size
// of 0 says that the frame is not complete yet.
func (r *Reader) parse(data []byte) (frame, int, error) {
	if len(data) < 2 {
		return frame{}, 0, nil
	}
	f := frame{fin: data[0]&finBit != 0, opcode: Opcode(data[0] & 0x0F)}
	f.packed = data[0]&rsv1 != 0
	if data[0]&0x30 != 0 || f.packed && (!r.Compress || f.opcode != Text && f.opcode != Binary) {
		return frame{}, 0, &ProtocolError{CloseProtocol, "reserved bits without an extension"}
	}
	if data[1]&maskBit == 0 {
		return frame{}, 0, &ProtocolError{CloseProtocol, "a client's frame must be masked"}
	}
	length, at := uint64(data[1]&0x7F), 2
	switch length {
	case length16:
		if len(data) < 4 {
			return frame{}, 0, nil
		}
		length, at = uint64(binary.BigEndian.Uint16(data[2:])), 4
	case length64:
		if len(data) < 10 {
			return frame{}, 0, nil
		}
		length, at = binary.BigEndian.Uint64(data[2:]), 10
	}
	if err := r.check(f, length); err != nil {
		return frame{}, 0, err
	}
	end := at + 4 + int(length)
	if len(data) < end {
		return frame{}, 0, nil
	}
	f.payload = data[at+4 : end]
	unmask(f.payload, [4]byte(data[at:at+4]))
	return f, end, nil
}

// check refuses a frame by its header, before its payload is waited for.
func (r *Reader) check(f frame, length uint64) error {
	switch f.opcode {
	case Close, Ping, Pong:
		if !f.fin || length > maxControl {
			return &ProtocolError{CloseProtocol, "a control frame is short and whole"}
		}
		return nil
	case Text, Binary:
		if r.opcode != 0 {
			return &ProtocolError{CloseProtocol, "a message within a fragmented message"}
		}
	case Continuation:
		if r.opcode == 0 {
			return &ProtocolError{CloseProtocol, "a continuation of nothing"}
		}
	default:
		return &ProtocolError{CloseProtocol, "unknown opcode"}
	}
	if length > uint64(r.Limit) || len(r.message)+int(length) > r.Limit {
		return tooBig(r.Limit)
	}
	return nil
}

func tooBig(limit int) *ProtocolError {
	return &ProtocolError{CloseTooBig, fmt.Sprintf("a message has at most %d bytes", limit)}
}

func (r *Reader) accept(f frame, handle func(Opcode, []byte) error) error {
	switch f.opcode {
	case Close, Ping, Pong:
		return handle(f.opcode, f.payload)
	case Text, Binary:
		if f.fin {
			return r.deliver(f.opcode, f.packed, f.payload, handle)
		}
		r.opcode, r.packed, r.message = f.opcode, f.packed, append([]byte(nil), f.payload...)
	case Continuation:
		r.message = append(r.message, f.payload...)
		if f.fin {
			opcode, message := r.opcode, r.message
			r.opcode, r.message = 0, nil
			return r.deliver(opcode, r.packed, message, handle)
		}
	}
	return nil
}

func (r *Reader) deliver(opcode Opcode, packed bool, message []byte, handle func(Opcode, []byte) error) error {
	if packed {
		var err error
		if message, err = inflate(message, r.Limit); err != nil {
			return err
		}
	}
	if opcode == Text && !utf8.Valid(message) {
		return &ProtocolError{CloseInvalidData, "text that is not UTF-8"}
	}
	return handle(opcode, message)
}

// unmask applies the masking key of RFC 6455 section 5.3, eight bytes at a time.
func unmask(payload []byte, key [4]byte) {
	key32 := binary.LittleEndian.Uint32(key[:])
	key64 := uint64(key32)<<32 | uint64(key32)
	for len(payload) >= 8 {
		binary.LittleEndian.PutUint64(payload, binary.LittleEndian.Uint64(payload)^key64)
		payload = payload[8:]
	}
	for i := range payload {
		payload[i] ^= key[i&3]
	}
}
