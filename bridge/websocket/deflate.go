package websocket

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// rsv1 marks a compressed message, RFC 7692 section 6.
const rsv1 = 0x40

// deflateFrom is the smallest payload that is worth compressing, in bytes.
const deflateFrom = 256

// tail is what RFC 7692 has the sender remove and the receiver add: the end of an
// empty block, and a last one.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// Deflate returns the frame of a text message, compressed without a context that
// outlives it (RFC 7692 section 7), so that all who get the message share one
// frame and no connection holds a window.
func Deflate(opcode Opcode, payload []byte) []byte {
	if len(payload) < deflateFrom {
		return AppendFrame(nil, opcode, payload)
	}
	var packed bytes.Buffer
	// Without an end of stream it closes with an empty block, whose last four
	// bytes are not sent. A bytes.Buffer takes everything.
	_ = flate.StatelessDeflate(&packed, payload, false, nil)
	body := bytes.TrimSuffix(packed.Bytes(), []byte(tail[:4]))
	frame := AppendFrame(nil, opcode, body)
	frame[0] |= rsv1
	return frame
}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate expands a message. One that would be larger than limit ends the
// connection, however small it came.
func inflate(packed []byte, limit int) ([]byte, error) {
	reader := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(reader)
	source := io.MultiReader(bytes.NewReader(packed), bytes.NewReader([]byte(tail)))
	if err := reader.(flate.Resetter).Reset(source, nil); err != nil {
		return nil, err
	}
	message, err := io.ReadAll(io.LimitReader(reader, int64(limit)+1))
	switch {
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &ProtocolError{CloseInvalidData, "a compressed message that cannot be expanded"}
	case len(message) > limit:
		return nil, tooBig(limit)
	}
	return message, nil
}
