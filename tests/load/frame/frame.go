// Package frame reads and writes WebSocket frames (RFC 6455) for a client that
// must cost next to nothing: it looks at headers only and copies no payload.
//
// Imports: the standard library.
package frame

import "encoding/binary"

// Opcode is a frame's kind.
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

const (
	final    = 0x80
	masked   = 0x80
	length16 = 126
	length64 = 127
)

// Header reads the header of the frame at the front of data, which a server
// wrote and is therefore not masked: its opcode, its own size and that of the
// payload behind it. A header size of 0 says that the header is not whole yet.
func Header(data []byte) (opcode Opcode, header, payload int) {
	if len(data) < 2 {
		return 0, 0, 0
	}
	opcode, header, payload = Opcode(data[0]&0x0F), 2, int(data[1]&0x7F)
	switch payload {
	case length16:
		if len(data) < 4 {
			return 0, 0, 0
		}
		return opcode, 4, int(binary.BigEndian.Uint16(data[2:]))
	case length64:
		if len(data) < 10 {
			return 0, 0, 0
		}
		return opcode, 10, int(binary.BigEndian.Uint64(data[2:]) & (1<<62 - 1))
	}
	return opcode, header, payload
}

// Cut takes the first frame off data. A size of 0 says that it is not whole yet.
func Cut(data []byte) (opcode Opcode, payload []byte, size int) {
	opcode, header, length := Header(data)
	if header == 0 || len(data)-header < length {
		return 0, nil, 0
	}
	size = header + length
	return opcode, data[header:size], size
}

// Append appends a whole message as a client sends it: masked, but with a key of
// zeros, so that the payload stays as it is.
func Append(dst []byte, opcode Opcode, payload []byte) []byte {
	dst = append(dst, final|byte(opcode))
	switch n := len(payload); {
	case n < length16:
		dst = append(dst, masked|byte(n))
	case n <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, masked|length16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, masked|length64), uint64(n))
	}
	return append(append(dst, 0, 0, 0, 0), payload...)
}

// AppendServer appends a whole message as a server sends it: not masked.
func AppendServer(dst []byte, opcode Opcode, payload []byte) []byte {
	dst = append(dst, final|byte(opcode))
	switch n := len(payload); {
	case n < length16:
		dst = append(dst, byte(n))
	case n <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, length16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, length64), uint64(n))
	}
	return append(dst, payload...)
}

// CutClient takes the first frame of a client off data and unmasks it in place.
// A size of 0 says that it is not whole yet.
func CutClient(data []byte) (opcode Opcode, payload []byte, size int) {
	opcode, header, length := Header(data)
	if header == 0 || len(data)-header < 4+length {
		return 0, nil, 0
	}
	size = header + 4 + length
	key := [4]byte(data[header:])
	payload = data[header+4 : size]
	if key != [4]byte{} {
		for i := range payload {
			payload[i] ^= key[i&3]
		}
	}
	return opcode, payload, size
}
