package bridge

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/subjects/topology/bustest"
)

// exchange is what a client sends after its welcome and what it must be told: texts
// and pongs in order, and then a close code, or the answer to one more ping.
type exchange struct {
	name  string
	sends []byte
	told  []string // of an answer its id, of a pong its payload
	code  int      // 0: the connection goes on
}

const (
	fin, rsv1, rsv2, rsv3                    = 0x80, 0x40, 0x20, 0x10
	continuation, textual, binaryOp, closing = byte(websocket.Continuation), byte(websocket.Text), byte(websocket.Binary), byte(websocket.Close)
	pingOp, pongOp                           = byte(websocket.Ping), byte(websocket.Pong)
)

// said is a request of exactly n bytes, mostly blanks, that is answered with its id.
func said(id, n int) string {
	request := fmt.Sprintf(`{"id":%d,"op":"publish","channel":"app:x","event":"e","data":{}}`, id)
	return request[:1] + strings.Repeat(" ", n-len(request)) + request[1:]
}

// carrying is a request with some bytes in its data.
func carrying(data string) string {
	return `{"id":1,"op":"publish","channel":"app:x","event":"e","data":"` + data + `"}`
}

func closeWith(code int, reason string) []byte {
	return masked(fin|closing, string(binary.BigEndian.AppendUint16(nil, uint16(code)))+reason)
}

func cat(parts ...[]byte) []byte { return slices.Concat(parts...) }

// pieces are the frames of one message, cut after each n bytes.
func pieces(payload string, n int) []byte {
	var frames []byte
	first := textual
	for len(payload) > n {
		frames = append(frames, masked(first, payload[:n])...)
		first, payload = continuation, payload[n:]
	}
	return append(frames, masked(fin|first, payload)...)
}

func framing() []exchange {
	cases := []exchange{
		{name: "an empty text", sends: cat(text(""), text(said(2, 100))), told: []string{"error", "2"}},
		{name: "binary", sends: masked(fin|binaryOp, said(1, 100)), code: 1003},
		{name: "empty binary", sends: masked(fin|binaryOp, ""), code: 1003},
		{name: "unmasked", sends: []byte{fin | textual, 2, '{', '}'}, code: 1002},
	}
	for _, n := range []int{124, 125, 126, 127, 128, 4095, 4096, 65535, 65536} {
		cases = append(cases, exchange{name: fmt.Sprintf("a text of %d bytes", n), sends: text(said(1, n)), told: []string{"1"}})
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			exchange{name: fmt.Sprintf("opcode %d", opcode), sends: masked(fin|opcode, ""), code: 1002},
			exchange{name: fmt.Sprintf("opcode %d with a payload after a text", opcode), sends: cat(text(said(1, 99)), masked(fin|opcode, "x"), masked(fin|pingOp, "")), told: []string{"1"}, code: 1002})
	}
	for _, bits := range []byte{rsv1, rsv2, rsv3, rsv1 | rsv2, rsv2 | rsv3, rsv1 | rsv3, rsv1 | rsv2 | rsv3} {
		for _, opcode := range []byte{textual, binaryOp, pingOp, pongOp, closing} {
			cases = append(cases, exchange{name: fmt.Sprintf("bits %#x of opcode %d", bits, opcode), sends: cat(text(said(1, 99)), masked(fin|bits|opcode, "")), told: []string{"1"}, code: 1002})
		}
	}
	return cases
}

func pings() []exchange {
	long := strings.Repeat("\xfe", 125)
	ten, pongs := []byte(nil), []string(nil)
	for i := range 10 {
		ten = append(ten, masked(fin|pingOp, fmt.Sprint("payload ", i))...)
		pongs = append(pongs, fmt.Sprint("payload ", i))
	}
	return []exchange{
		{name: "a ping", sends: masked(fin|pingOp, ""), told: []string{""}},
		{name: "a ping with a payload", sends: masked(fin|pingOp, "Hello, world!"), told: []string{"Hello, world!"}},
		{name: "a ping that is no text", sends: masked(fin|pingOp, "\x00\xff\xfe"), told: []string{"\x00\xff\xfe"}},
		{name: "a ping of 125 bytes", sends: masked(fin|pingOp, long), told: []string{long}},
		{name: "a ping of 126 bytes", sends: masked(fin|pingOp, long+"x"), code: 1002},
		{name: "a pong of 126 bytes", sends: masked(fin|pongOp, long+"x"), code: 1002},
		{name: "pongs that nobody asked for", sends: cat(masked(fin|pongOp, ""), masked(fin|pongOp, "x"), masked(fin|pingOp, "y")), told: []string{"y"}},
		{name: "ten pings", sends: ten, told: pongs},
	}
}

func fragments() []exchange {
	message := said(1, 120)
	return []exchange{
		{name: "two fragments", sends: pieces(message, 60), told: []string{"1"}},
		{name: "a fragment per byte", sends: pieces(message, 1), told: []string{"1"}},
		{name: "empty fragments", sends: cat(masked(textual, ""), masked(continuation, ""), masked(continuation, message), masked(fin|continuation, "")), told: []string{"1"}},
		{name: "a ping in between", sends: cat(masked(textual, message[:9]), masked(fin|pingOp, "p"), masked(fin|continuation, message[9:])), told: []string{"p", "1"}},
		{name: "a close in between", sends: cat(masked(textual, message[:9]), closeWith(1000, "")), code: 1000},
		{name: "a ping in fragments", sends: cat(masked(pingOp, "a"), masked(fin|continuation, "b")), code: 1002},
		{name: "a pong in fragments", sends: cat(masked(pongOp, "a"), masked(fin|continuation, "b")), code: 1002},
		{name: "a close in fragments", sends: masked(closing, "\x03\xe8"), code: 1002},
		{name: "a continuation of nothing", sends: masked(fin|continuation, message), code: 1002},
		{name: "an open continuation of nothing", sends: masked(continuation, message), code: 1002},
		{name: "a continuation after the end", sends: cat(pieces(message, 60), masked(fin|continuation, "")), told: []string{"1"}, code: 1002},
		{name: "a text in a text", sends: cat(masked(textual, message), text(message)), code: 1002},
		{name: "a binary in a text", sends: cat(masked(textual, message), masked(binaryOp, "")), code: 1002},
		{name: "binary in fragments", sends: cat(masked(binaryOp, "a"), masked(fin|continuation, "b")), code: 1003},
		{name: "reserved bits on a continuation", sends: cat(masked(textual, message[:9]), masked(fin|rsv2|continuation, message[9:])), code: 1002},
	}
}

func utf8Cases() []exchange {
	var cases []exchange
	for _, valid := range []string{"\u03ba\u1f79\u03c3\u03bc\u03b5", "\u0080", "\u0800", "\U00010000", "\u07ff", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\U0010ffff", "ñandú 🐦"} {
		message := carrying(valid)
		cases = append(cases,
			exchange{name: fmt.Sprintf("valid %+q", valid), sends: text(message), told: []string{"1"}},
			exchange{name: fmt.Sprintf("valid %+q cut within characters", valid), sends: pieces(message, 1), told: []string{"1"}})
	}
	for _, invalid := range []string{
		"\x80", "\xbf", "\x80\xbf\x80", "\xc0 \xc1 ", "\xc3", "\xe2\x82", "\xf0\x9f\x90", "\xfe", "\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf",
		"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\xed\xa0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
	} {
		message := carrying(invalid)
		cases = append(cases,
			exchange{name: fmt.Sprintf("invalid %+q", invalid), sends: text(message), code: 1007},
			exchange{name: fmt.Sprintf("invalid %+q in fragments", invalid), sends: pieces(message, 1), code: 1007})
	}
	return cases
}

func closes() []exchange {
	reason := strings.Repeat("*", 123)
	cases := []exchange{
		{name: "a close without a code", sends: masked(fin|closing, ""), code: 1000},
		{name: "a close with half a code", sends: masked(fin|closing, "\x03"), code: 1002},
		{name: "a close with a reason", sends: closeWith(1000, "Hello World!"), code: 1000},
		{name: "a close with the longest reason", sends: closeWith(1000, reason), code: 1000},
		{name: "a close with a longer reason", sends: closeWith(1000, reason+"*"), code: 1002},
		{name: "a reason that is not UTF-8", sends: closeWith(1000, "\xce\xba\xed\xa0\x80edited"), code: 1007},
		{name: "a reason that ends within a character", sends: closeWith(1000, "\xc3"), code: 1007},
		{name: "two closes", sends: cat(closeWith(1000, ""), closeWith(1000, "")), code: 1000},
		{name: "a ping after the close", sends: cat(closeWith(1000, ""), masked(fin|pingOp, "late")), code: 1000},
		{name: "a text after the close", sends: cat(closeWith(1000, ""), text(said(1, 99))), code: 1000},
		{name: "a close after a text", sends: cat(text(said(1, 60000)), closeWith(1000, "")), code: 1000},
	}
	for _, valid := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases, exchange{name: fmt.Sprint("code ", valid), sends: closeWith(valid, "because"), code: valid})
	}
	for _, invalid := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		cases = append(cases, exchange{name: fmt.Sprint("code ", invalid), sends: closeWith(invalid, ""), code: 1002})
	}
	return cases
}

func sizes(limit int) []exchange {
	header := func(first byte, n uint64) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{first, 0xFF}, n), 1, 2, 3, 4)
	}
	return []exchange{
		{name: "the largest message", sends: text(said(1, limit)), told: []string{"1"}},
		{name: "the largest message in fragments of 64 bytes", sends: pieces(said(1, limit), 64), told: []string{"1"}},
		{name: "a header that announces one byte more", sends: header(fin|textual, uint64(limit+1)), code: 4130},
		{name: "a header that announces 2^63 bytes", sends: header(fin|textual, 1<<63), code: 4130},
		{name: "fragments of one byte more", sends: cat(masked(textual, strings.Repeat(" ", limit)), masked(continuation, " ")), code: 4130},
	}
}

// deflated is a compressed message without the end of its block, RFC 7692 section 7.2.1.
func deflated(t *testing.T, message string, dictionary string) string {
	t.Helper()
	var packed bytes.Buffer
	w, err := flate.NewWriterDict(&packed, 9, []byte(dictionary))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(message)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(packed.String(), "\x00\x00\xff\xff")
}

func compressed(t *testing.T, limit int) []exchange {
	t.Helper()
	message := said(1, 3000)
	packed := deflated(t, message, "")
	var final bytes.Buffer // the whole message in one last block, section 7.2.3.4
	w, err := flate.NewWriter(&final, 9)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(message)) // a buffer takes everything
	_ = w.Close()
	return []exchange{
		{name: "compressed", sends: masked(fin|rsv1|textual, packed), told: []string{"1"}},
		{name: "not compressed", sends: text(message), told: []string{"1"}},
		{name: "compressed in fragments, a ping in between", sends: cat(masked(rsv1|textual, packed[:9]), masked(fin|pingOp, "p"), masked(fin|continuation, packed[9:])), told: []string{"p", "1"}},
		{name: "not compressed at all, in one stored block", sends: masked(fin|rsv1|textual, "\x00\x02\x00\xfd\xff{}\x00"), told: []string{"error"}},
		{name: "an empty message", sends: masked(fin|rsv1|textual, "\x00"), told: []string{"error"}},
		{name: "a last block and the padding", sends: masked(fin|rsv1|textual, final.String()+"\x00"), told: []string{"1"}},
		{name: "twice, each for itself", sends: cat(masked(fin|rsv1|textual, packed), masked(fin|rsv1|textual, deflated(t, said(2, 3000), ""))), told: []string{"1", "2"}},
		{name: "with the context of the message before", sends: cat(masked(fin|rsv1|textual, packed), masked(fin|rsv1|textual, deflated(t, message, message))), told: []string{"1"}, code: 1007},
		{name: "what is no deflate", sends: masked(fin|rsv1|textual, "\xff\xff\xff\xff"), code: 1007},
		{name: "the bit on a continuation", sends: cat(masked(rsv1|textual, packed[:9]), masked(fin|rsv1|continuation, packed[9:])), code: 1002},
		{name: "the bit on a ping", sends: masked(fin|rsv1|pingOp, ""), code: 1002},
		{name: "the bit on a close", sends: masked(fin|rsv1|closing, ""), code: 1002},
		{name: "a bomb", sends: masked(fin|rsv1|textual, deflated(t, strings.Repeat(" ", 1<<24), "")), code: 4130},
		{name: "one byte above the limit", sends: masked(fin|rsv1|textual, deflated(t, strings.Repeat(" ", limit+1), "")), code: 4130},
		{name: "the largest message", sends: masked(fin|rsv1|textual, deflated(t, said(1, limit), "")), told: []string{"1"}},
		{name: "text that is not UTF-8", sends: masked(fin|rsv1|textual, deflated(t, carrying("\xff"), "")), code: 1007},
	}
}

// TestRFC6455 is what the well-known conformance suites ask of a server, through a
// socket: framing, pings, reserved bits and opcodes, fragmentation, UTF-8, closing
// and sizes, each as it comes and byte by byte; and RFC 7692.
func TestRFC6455(t *testing.T) {
	t.Parallel()
	plain, _ := runBridge(t, bustest.Start(t), Config{Compress: true, Limits: session.Limits{Sessions: 1 << 20, Publishes: 1 << 20, UserPublishes: 1 << 20}})
	limit := plain.node.Limits.Frame
	all := slices.Concat(framing(), pings(), fragments(), utf8Cases(), closes(), sizes(limit))
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(greeted(t, plain, "ana", ""), len(c.sends))
			if len(c.sends) < 500 {
				c.run(greeted(t, plain, "ana", ""), 1)
			}
		})
	}
	for _, c := range compressed(t, limit) {
		t.Run("deflate: "+c.name, func(t *testing.T) {
			t.Parallel()
			c.run(greeted(t, plain, "ana", "Sec-WebSocket-Extensions: permessage-deflate\r\n"), len(c.sends))
		})
	}
}

// run sends the case in steps of some bytes.
func (c exchange) run(r *raw, step int) {
	r.t.Helper()
	for part := range slices.Chunk(c.sends, step) {
		if _, err := r.tcp.Write(part); err != nil {
			break // it was closed at what came before
		}
	}
	for _, want := range c.told {
		if got := r.answer(); got != want {
			r.t.Fatalf("told %q; %q was wanted", got, want)
		}
	}
	if c.code != 0 {
		if code := r.closed(); code != c.code {
			r.t.Errorf("closed with %d; %d was wanted", code, c.code)
		}
		return
	}
	r.write(masked(fin|pingOp, "still here"))
	if got := r.answer(); got != "still here" {
		r.t.Errorf("told %q after it", got)
	}
}

// answer is the id of an answer or the payload of a pong.
func (r *raw) answer() string {
	r.t.Helper()
	opcode, payload, err := r.frame()
	switch {
	case err != nil:
		r.t.Fatal(err)
	case opcode == websocket.Pong:
		return string(payload)
	case bytes.Equal(payload, []byte(`{"op":"ping"}`)):
		return r.answer()
	case bytes.Contains(payload, []byte(`"op":"error"`)):
		return "error"
	case opcode == websocket.Text:
		_, rest, _ := bytes.Cut(payload, []byte(`"id":`))
		id, _, _ := bytes.Cut(rest, []byte(","))
		return string(bytes.TrimRight(id, "}"))
	}
	r.t.Fatalf("told frame %d %q", opcode, payload)
	return ""
}
