// Package websocket reads and writes the frames of RFC 6455 for the server's
// side of a connection whose handshake is done. It holds no connection and no
// buffer of its own: the reader is fed whatever bytes there are, so that an idle
// connection costs no buffer.
//
// Imports: the standard library, and klauspost/compress, which deflates without a
// window to keep.
package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Opcode is a frame's kind, RFC 6455 section 5.2.
type Opcode byte

// The opcodes of RFC 6455.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xA
)

// Close codes of RFC 6455 section 7.4.1 that the server sends or looks for.
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001
	CloseProtocol    = 1002
	CloseUnsupported = 1003
	CloseNoStatus    = 1005
	CloseInvalidData = 1007
	CloseTooBig      = 1009
)

const (
	finBit     = 0x80
	maskBit    = 0x80
	length16   = 126
	length64   = 127
	maxControl = 125
)

// HeaderSize is the size of an unmasked frame's header for a payload of n bytes.
func HeaderSize(n int) int {
	switch {
	case n < length16:
		return 2
	case n <= 0xFFFF:
		return 4
	}
	return 10
}

// AppendHeader appends the header of a whole, unmasked message of n bytes.
func AppendHeader(dst []byte, opcode Opcode, n int) []byte {
	dst = append(dst, finBit|byte(opcode))
	switch {
	case n < length16:
		return append(dst, byte(n))
	case n <= 0xFFFF:
		return binary.BigEndian.AppendUint16(append(dst, length16), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, length64), uint64(n))
}

// AppendFrame appends a whole, unmasked message.
func AppendFrame(dst []byte, opcode Opcode, payload []byte) []byte {
	return append(AppendHeader(dst, opcode, len(payload)), payload...)
}

// AppendClose appends a close frame; a reason that does not fit is cut.
func AppendClose(dst []byte, code int, reason string) []byte {
	for len(reason) > maxControl-2 {
		_, last := utf8.DecodeLastRuneInString(reason)
		reason = reason[:len(reason)-last]
	}
	dst = AppendHeader(dst, Close, 2+len(reason))
	return append(binary.BigEndian.AppendUint16(dst, uint16(code)), reason...)
}

// ParseClose reads the code of a close frame's payload, [CloseNoStatus] when it
// is empty. What RFC 6455 section 7.4 does not allow on the wire is a
// [*ProtocolError].
func ParseClose(payload []byte) (int, error) {
	switch len(payload) {
	case 0:
		return CloseNoStatus, nil
	case 1:
		return 0, &ProtocolError{CloseProtocol, "half a close code"}
	}
	code := int(binary.BigEndian.Uint16(payload))
	switch {
	case !mayClose(code):
		return 0, &ProtocolError{CloseProtocol, "a close code that nobody may send"}
	case !utf8.Valid(payload[2:]):
		return 0, &ProtocolError{CloseInvalidData, "a reason that is not UTF-8"}
	}
	return code, nil
}

// mayClose says whether a code may be sent: those of RFC 6455 section 7.4.1 that
// are not reserved, the three that IANA has added, and those of libraries and
// applications.
func mayClose(code int) bool {
	switch {
	case code == CloseNoStatus, code == 1004, code == 1006:
		return false
	case code >= CloseNormal && code <= 1014:
		return true
	}
	return code >= 3000 && code <= 4999
}
