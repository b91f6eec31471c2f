package websocket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/latido/latido/bridge/websocket"
)

// masked is a client's frame.
func masked(first byte, payload string) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n <= 0xFFFF:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	key := [4]byte{1, 2, 3, 4}
	frame = append(frame, key[:]...)
	for i := range len(payload) {
		frame = append(frame, payload[i]^key[i&3])
	}
	return frame
}

func feed(t *testing.T, reader *websocket.Reader, data []byte, step int) (got []string, err error) {
	t.Helper()
	for len(data) > 0 && err == nil {
		n := min(step, len(data))
		err = reader.Feed(bytes.Clone(data[:n]), func(opcode websocket.Opcode, payload []byte) error {
			got = append(got, fmt.Sprintf("%d:%s", opcode, payload))
			return nil
		})
		data = data[n:]
	}
	return got, err
}

func TestReaderTakesBytesAsTheyCome(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 70000)
	stream := bytes.Join([][]byte{
		masked(0x81, "hello"), masked(0x01, "frag"), masked(0x89, "ping"), masked(0x00, "men"), masked(0x80, "ted ñ"),
		masked(0x81, long), masked(0x82, "bin"), masked(0x88, "\x03\xe8bye"),
	}, nil)
	want := []string{"1:hello", "9:ping", "1:fragmented ñ", "1:" + long, "2:bin", "8:\x03\xe8bye"}
	for _, step := range []int{1, 2, 3, 7, 64, 4096, len(stream)} {
		got, err := feed(t, &websocket.Reader{Limit: 1 << 20}, stream, step)
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("in steps of %d: %d messages, %v", step, len(got), err)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stream []byte
		code   int
	}{
		"unmasked":                {[]byte{0x81, 0x01, 'a'}, websocket.CloseProtocol},
		"reserved bits":           {masked(0xC1, "a"), websocket.CloseProtocol},
		"unknown opcode":          {masked(0x83, "a"), websocket.CloseProtocol},
		"fragmented ping":         {masked(0x09, "a"), websocket.CloseProtocol},
		"long ping":               {masked(0x89, strings.Repeat("a", 126)), websocket.CloseProtocol},
		"continuation of nothing": {masked(0x80, "a"), websocket.CloseProtocol},
		"message in a message":    {append(masked(0x01, "a"), masked(0x81, "b")...), websocket.CloseProtocol},
		"too big":                 {masked(0x81, strings.Repeat("a", 1001)), websocket.CloseTooBig},
		"too big in fragments":    {append(masked(0x01, strings.Repeat("a", 600)), masked(0x80, strings.Repeat("a", 600))...), websocket.CloseTooBig},
		"announces 2^63 bytes":    {append([]byte{0x81, 0xFF}, bytes.Repeat([]byte{0xFF}, 12)...), websocket.CloseTooBig},
		"not UTF-8":               {masked(0x81, "\xff"), websocket.CloseInvalidData},
	} {
		_, err := feed(t, &websocket.Reader{Limit: 1000}, test.stream, 5)
		var violation *websocket.ProtocolError
		if !errors.As(err, &violation) || violation.Code != test.code {
			t.Errorf("%s: %v, want code %d", name, err, test.code)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(masked(0x81, "hello"), 1)
	f.Add(append(masked(0x01, "a"), masked(0x80, "b")...), 3)
	f.Add([]byte{0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}, 2)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		got, err := feed(t, &websocket.Reader{Limit: 4096}, stream, max(step, 1))
		whole, wholeErr := feed(t, &websocket.Reader{Limit: 4096}, stream, max(len(stream), 1))
		if strings.Join(got, "|") != strings.Join(whole, "|") || (err == nil) != (wholeErr == nil) {
			t.Errorf("in steps of %d: %q %v, at once: %q %v", step, got, err, whole, wholeErr)
		}
	})
}

func TestCompressedMessages(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "short", strings.Repeat("a message ", 100), strings.Repeat("ñ", 30000)} {
		frame := websocket.Deflate(websocket.Text, []byte(text))
		compressed := frame[0]&0x40 != 0
		if compressed != (len(text) >= 256) || compressed && len(frame) > len(text)/2 {
			t.Errorf("%d bytes became a frame of %d, compressed %v", len(text), len(frame), compressed)
		}
		// What the server sends, a client may send, but for the mask.
		payload := frame[2:]
		switch frame[1] {
		case 126:
			payload = frame[4:]
		case 127:
			payload = frame[10:]
		}
		got, err := feed(t, &websocket.Reader{Limit: 1 << 20, Compress: true}, masked(frame[0], string(payload)), 1000)
		if err != nil || len(got) != 1 || got[0] != "1:"+text {
			t.Errorf("%d bytes came back as %d messages, %v", len(text), len(got), err)
		}
		if compressed {
			if _, err := feed(t, &websocket.Reader{Limit: 1 << 20}, masked(frame[0], string(payload)), 1000); err == nil {
				t.Error("a compressed frame was taken although none were agreed on")
			}
		}
	}
}

// A small frame that expands to much ends its connection at the limit.
func TestCompressionBomb(t *testing.T) {
	t.Parallel()
	frame := websocket.Deflate(websocket.Text, []byte(strings.Repeat("0", 10<<20)))
	start := 4
	if frame[1] == 127 {
		start = 10
	}
	_, err := feed(t, &websocket.Reader{Limit: 1 << 16, Compress: true}, masked(frame[0], string(frame[start:])), 1<<20)
	var violation *websocket.ProtocolError
	if !errors.As(err, &violation) || violation.Code != websocket.CloseTooBig {
		t.Errorf("%v, want code %d", err, websocket.CloseTooBig)
	}
}

func FuzzCompressed(f *testing.F) {
	f.Add(masked(0xC1, "\xaa\x56\x4a"))
	f.Add(masked(0xC1, ""))
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, _ := feed(t, &websocket.Reader{Limit: 4096, Compress: true}, stream, len(stream)+1)
		for _, message := range got {
			if len(message) > 4096+len("10:") {
				t.Fatalf("a message of %d bytes", len(message))
			}
		}
	})
}
