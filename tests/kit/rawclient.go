package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
)

// Patience bounds what a test waits for a bridge to say, so that a failing one ends.
const Patience = time.Minute

// Codes of RFC 6455, section 7.4.1, with which a bridge closes a connection.
const (
	GoingAway       = schemas.Code(websocket.StatusGoingAway)
	UnsupportedData = schemas.Code(websocket.StatusUnsupportedData)
	InvalidPayload  = schemas.Code(websocket.StatusInvalidFramePayloadData)
)

// Frame is a request or a notice as a JSON object; its numbers are float64.
type Frame map[string]any

// Code is the code of a refusal, or of a closing; 0 where there is none.
func (f Frame) Code() schemas.Code {
	code, _ := f["code"].(float64)
	return schemas.Code(code)
}

// Closed is the op of the frame that stands for the end of a connection. Its code
// is 0 when there was no goodbye.
const Closed = "closed"

// RawClient is one connection that says whatever a test wants, right or wrong, and
// reads what it is told one after another. It does not come back: [Client] does. Of
// itself it only answers pings, while it reads.
type RawClient struct {
	t       testing.TB
	socket  *socket
	lines   [][]byte // of the last message, not read yet
	skipped []Frame  // read while another was looked for
	last    int      // id of a request
}

// Dial connects to a bridge's address until the test ends.
func Dial(t testing.TB, address string) *RawClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	socket, err := dial(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	r := &RawClient{t: t, socket: socket}
	t.Cleanup(r.CloseNow)
	return r
}

// Welcomed is a raw client that has said hello and was welcomed.
func Welcomed(t testing.TB, address string, hello bridge.Hello) *RawClient {
	t.Helper()
	r := Dial(t, address)
	hello.Op = "hello"
	r.Send(hello)
	if welcome := r.Next(); welcome["op"] != "welcome" {
		t.Fatalf("not welcome: %v", welcome)
	}
	return r
}

// Send sends a frame: text and bytes as they are, all else as JSON. It does not mind
// that the bridge may have hung up: what that said before is still to be heard.
func (r *RawClient) Send(frame any) {
	r.t.Helper()
	var data []byte
	switch frame := frame.(type) {
	case string:
		data = []byte(frame)
	case []byte:
		data = frame
	default:
		var err error
		if data, err = json.Marshal(frame); err != nil {
			r.t.Fatal(err)
		}
	}
	_ = r.socket.write(websocket.MessageText, data)
}

// SendBinary sends a binary message.
func (r *RawClient) SendBinary(data []byte) { _ = r.socket.write(websocket.MessageBinary, data) }

// Close says goodbye, as a page does that is closed.
func (r *RawClient) Close() {
	r.t.Helper()
	if err := r.socket.leave(); err != nil {
		r.t.Fatal(err)
	}
}

// CloseNow ends the connection without a goodbye.
func (r *RawClient) CloseNow() { _ = r.socket.conn.CloseNow() }

// Line returns the next notice as it came, without its end of line.
func (r *RawClient) Line(ctx context.Context) ([]byte, error) {
	if len(r.lines) == 0 {
		message, err := r.socket.read(ctx)
		if err != nil {
			return nil, err
		}
		r.lines = bytes.Split(message, []byte{'\n'})
	}
	line := r.lines[0]
	r.lines = r.lines[1:]
	return line, nil
}

// Next returns the next notice, or a frame of the op [Closed]. It fails the test when
// nothing comes, or what is no notice.
func (r *RawClient) Next() Frame {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), Patience)
	defer cancel()
	for {
		f := r.next(ctx)
		if f["op"] != "ping" {
			return f
		}
		r.Send(bridge.Pong{Op: "pong"})
	}
}

func (r *RawClient) next(ctx context.Context) Frame {
	r.t.Helper()
	line, err := r.Line(ctx)
	if closed, is := errors.AsType[websocket.CloseError](err); is {
		return Frame{"op": Closed, "code": float64(closed.Code), "message": closed.Reason}
	}
	if err != nil {
		if ctx.Err() != nil {
			r.t.Errorf("nothing was said for %v, and the connection stays open", Patience)
		}
		return Frame{"op": Closed, "message": err.Error()}
	}
	if _, err := decodeNotice(line); err != nil {
		r.t.Error(err)
	}
	var f Frame
	_ = json.Unmarshal(line, &f) // it was decoded just now
	return f
}

// Expect returns the first notice that fits, also of those that were passed over, and
// keeps the others for later.
func (r *RawClient) Expect(what string, fits func(Frame) bool) Frame {
	r.t.Helper()
	if at := slices.IndexFunc(r.skipped, fits); at >= 0 {
		found := r.skipped[at]
		r.skipped = slices.Delete(r.skipped, at, at+1)
		return found
	}
	for deadline := time.Now().Add(Patience); time.Now().Before(deadline); {
		f := r.Next()
		if fits(f) {
			return f
		}
		if f["op"] == Closed {
			r.t.Fatalf("waited for %s: %v; have %v", what, f, r.skipped)
		}
		r.skipped = append(r.skipped, f)
	}
	r.t.Fatalf("waited for %s for %v; have %v", what, Patience, r.skipped)
	return nil
}

// Skipped are the notices that were passed over by Expect.
func (r *RawClient) Skipped() []Frame { return r.skipped }

// Ask sends a request under an id of its own and returns the answer.
func (r *RawClient) Ask(request Frame) Frame {
	r.t.Helper()
	r.last++
	request["id"] = r.last
	r.Send(request)
	id := float64(r.last)
	return r.Expect("an answer", func(f Frame) bool { return f["id"] == id })
}

// Must asks for what must be granted, and returns the answer's data.
func (r *RawClient) Must(request Frame) any {
	r.t.Helper()
	answer := r.Ask(request)
	if answer["op"] != "ok" {
		r.t.Fatalf("%v: %v", request, answer)
	}
	return answer["data"]
}

// Call commands a channel's owner, who must agree, and returns the answer's data.
func (r *RawClient) Call(channel, command string, data any) any {
	r.t.Helper()
	return r.Must(Frame{"op": "call", "channel": channel, "command": command, "data": data})
}

// Refused reads on until the bridge refuses something, and returns that.
func (r *RawClient) Refused() Frame {
	r.t.Helper()
	for {
		switch f := r.Next(); f["op"] {
		case "error":
			return f
		case Closed:
			r.t.Errorf("closed before an error was told: %v", f)
			return f
		}
	}
}

// CloseCode reads on until the connection ends, and returns the code.
func (r *RawClient) CloseCode() schemas.Code {
	r.t.Helper()
	for {
		if f := r.Next(); f["op"] == Closed {
			return f.Code()
		}
	}
}

// Works says whether the session still answers.
func (r *RawClient) Works() bool {
	r.t.Helper()
	const id = 1<<53 - 1 // no test's own
	r.Send(fmt.Sprintf(`{"id":%d,"op":"subscribe","channel":"app:still-here"}`, int64(id)))
	for {
		switch f := r.Next(); {
		case f["op"] == "ok" && f["id"] == float64(id):
			return true
		case f["op"] == Closed:
			return false
		}
	}
}
