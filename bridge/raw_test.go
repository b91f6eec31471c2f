package bridge

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/latido/latido/bridge/websocket"
)

// raw is a socket on which a test writes what it likes.
type raw struct {
	t        *testing.T
	tcp      conn
	in       *bufio.Reader
	response *http.Response
	ref      string // of its session, once it was welcomed
}

// conn is TCP, or TLS on it.
type conn interface {
	net.Conn
	CloseWrite() error
}

const upgradeHeaders = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func handshake(b *Bridge, headers string) []byte {
	return fmt.Appendf(nil, "GET /ws HTTP/1.1\r\nHost: %s\r\n%s\r\n", b.Addr(), headers)
}

// dialRaw opens a socket, sends a handshake with further headers, together with
// what is to follow it, and reads the response.
func dialRaw(t *testing.T, b *Bridge, headers string, follow ...[]byte) *raw {
	t.Helper()
	request := handshake(b, headers)
	for _, more := range follow {
		request = append(request, more...)
	}
	return connectRaw(t, b).upgrade(request)
}

// upgrade sends a handshake, and what is to follow it, and reads the response.
func (r *raw) upgrade(request []byte) *raw {
	r.t.Helper()
	r.write(request)
	var err error
	if r.response, err = http.ReadResponse(r.in, nil); err != nil {
		r.t.Fatal(err)
	}
	return r
}

func connectRaw(t *testing.T, b *Bridge) *raw {
	t.Helper()
	tcp, err := net.Dial("tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return over(t, tcp.(*net.TCPConn))
}

// over is a raw socket over a connection.
func over(t *testing.T, c conn) *raw {
	t.Helper()
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		t.Fatal(err)
	}
	return &raw{t: t, tcp: c, in: bufio.NewReader(c)}
}

// greeted is a raw socket that has been welcomed.
func greeted(t *testing.T, b *Bridge, user, headers string) *raw {
	t.Helper()
	return dialRaw(t, b, upgradeHeaders+headers).greet(b, user)
}

// greet says hello.
func (r *raw) greet(b *Bridge, user string) *raw {
	r.t.Helper()
	r.write(text(fmt.Sprintf(`{"op":"hello","token":%q}`, token(r.t, b, user, ""))))
	r.ref, _ = r.expect("welcome")["ref"].(string)
	return r
}

func (r *raw) write(data []byte) {
	r.t.Helper()
	if _, err := r.tcp.Write(data); err != nil {
		r.t.Fatal(err)
	}
}

// frame reads one frame; an error when there is none.
func (r *raw) frame() (websocket.Opcode, []byte, error) {
	var header [2]byte
	if _, err := io.ReadFull(r.in, header[:]); err != nil {
		return 0, nil, err
	}
	length := uint64(header[1])
	if extra := map[byte]int{126: 2, 127: 8}[header[1]]; extra > 0 {
		var size [8]byte
		if _, err := io.ReadFull(r.in, size[8-extra:]); err != nil {
			return 0, nil, err
		}
		length = binary.BigEndian.Uint64(size[:])
	}
	payload := make([]byte, length)
	_, err := io.ReadFull(r.in, payload)
	return websocket.Opcode(header[0] & 0x0F), payload, err
}

// message reads the next text that is no ping.
func (r *raw) message() message {
	r.t.Helper()
	for {
		opcode, payload, err := r.frame()
		if err != nil || opcode != websocket.Text {
			r.t.Fatalf("frame %d %q, %v; a text was wanted", opcode, payload, err)
		}
		var m message
		if err := json.Unmarshal(payload, &m); err != nil {
			r.t.Fatal(err)
		}
		if m.op() != "ping" {
			return m
		}
	}
}

func (r *raw) expect(op string) message {
	r.t.Helper()
	m := r.message()
	if m.op() != op {
		r.t.Fatalf("told %v; %s was wanted", m, op)
	}
	return m
}

// closed reads on to the close frame, returns its code, and sees that nothing
// follows and that the connection ends.
func (r *raw) closed() int {
	r.t.Helper()
	for {
		opcode, payload, err := r.frame()
		if err != nil {
			r.t.Fatalf("no close frame: %v", err)
		}
		if opcode != websocket.Close {
			continue
		}
		_ = r.tcp.CloseWrite() // the server may have closed already
		r.ended()
		return int(binary.BigEndian.Uint16(payload))
	}
}

// ended sees that nothing comes any more; a reset is an end too, where the client
// has gone on after its close.
func (r *raw) ended() {
	r.t.Helper()
	if opcode, payload, err := r.frame(); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Errorf("after the end: frame %d %q, %v", opcode, payload, err)
	}
}

// masked is a client's frame with a first byte and a payload.
func masked(first byte, payload string) []byte {
	const mask = 0x80
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, mask|byte(n))
	case n <= 0xFFFF:
		frame = binary.BigEndian.AppendUint16(append(frame, mask|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, mask|127), uint64(n))
	}
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	frame = append(frame, key[:]...)
	for i := range len(payload) {
		frame = append(frame, payload[i]^key[i&3])
	}
	return frame
}

func text(payload string) []byte { return masked(0x81, payload) }
