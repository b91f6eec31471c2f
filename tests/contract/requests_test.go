package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latido/latido/bridge"
	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
)

// patience bounds waits for what must happen, so that a failing test ends.
const patience = 20 * time.Second

// generous lets the tests ask as fast as they can.
func generous(cfg *stack.Config) {
	cfg.Limits = bridge.Limits{Publishes: 1 << 20, UserPublishes: 1 << 20}
}

// malformed are the codes that say no to the form of a request, and others those
// that a form which a schema forbids may be refused with as well.
var (
	malformed = []schemas.Code{schemas.InvalidJSON, schemas.InvalidFrame, schemas.UnknownOp, schemas.FrameTooLarge}
	others    = []schemas.Code{schemas.InvalidData, schemas.UnknownKind, schemas.UnknownCommand, schemas.Unauthenticated, schemas.TooManyChannels}
)

// line is one connection; it is opened anew when the server has closed it.
type line struct {
	t    *testing.T
	s    *stack.Stack
	conn *websocket.Conn
	next int
	sent []byte // lately
}

func (l *line) open(ctx context.Context) {
	l.t.Helper()
	conn, _, err := websocket.Dial(ctx, "ws://"+l.s.HTTPAddr()+"/ws", nil)
	if err != nil {
		l.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 22)
	l.conn = conn
	l.t.Cleanup(func() { _ = conn.CloseNow() })
}

// hello opens the line as ana, an operator.
func (l *line) hello(ctx context.Context) {
	l.t.Helper()
	l.open(ctx)
	l.send(ctx, text(map[string]any{"op": "hello", "token": token(l.t, "ana", "operator")}))
	if welcome := l.read(ctx); welcome["op"] != "welcome" {
		l.t.Fatal(welcome)
	}
}

func (l *line) send(ctx context.Context, frame []byte) {
	l.t.Helper()
	l.sent = frame
	if err := l.conn.Write(ctx, websocket.MessageText, frame); err != nil {
		l.t.Fatal(err)
	}
}

// read returns the next notice; an end of the line is one of the op "closed".
func (l *line) read(ctx context.Context) map[string]any {
	l.t.Helper()
	_, message, err := l.conn.Read(ctx)
	if closed, ok := errors.AsType[websocket.CloseError](err); ok {
		return map[string]any{"op": "closed", "code": float64(closed.Code), "message": closed.Reason}
	}
	if err != nil {
		l.t.Fatalf("after %.300s: %v", l.sent, err)
	}
	var notice map[string]any
	first, _, _ := strings.Cut(string(message), "\n")
	if err := json.Unmarshal([]byte(first), &notice); err != nil {
		l.t.Fatalf("%s: %v", message, err)
	}
	return notice
}

// outcome is what a frame led to: one frame at a time is sent, so the first answer
// or refusal is its own. Behind one that has no answer a question is asked.
func (l *line) outcome(ctx context.Context, frame []byte) map[string]any {
	l.t.Helper()
	l.send(ctx, frame)
	probe := float64(0)
	if unanswered(frame) {
		l.next++
		probe = float64(1<<40 + l.next)
		l.send(ctx, fmt.Appendf(nil, `{"id":%.0f,"op":"count","channel":"nokind:x"}`, probe))
	}
	for told := map[string]any(nil); ; {
		notice := l.read(ctx)
		switch {
		case notice["op"] == "closed", probe == 0 && (notice["op"] == "ok" || notice["op"] == "error"):
			return notice
		case probe > 0 && notice["id"] == probe && told == nil:
			return map[string]any{"op": "nothing"}
		case probe > 0 && notice["id"] == probe:
			return told
		case notice["op"] == "error":
			told = notice
		}
	}
}

// unanswered are the requests that have no answer.
func unanswered(frame []byte) bool {
	var f struct{ Op any }
	return json.Unmarshal(frame, &f) == nil && (f.Op == "pong" || f.Op == "activity")
}

// TestRequestsAreAsTheirSchemasSay sends the boundary values of every request of
// the native dialect: what its schema allows is understood, what it forbids is
// refused with a sentence, and nothing is ever "internal".
func TestRequestsAreAsTheirSchemasSay(t *testing.T) {
	t.Parallel()
	s := run(t, generous)
	for _, name := range schemaFiles(t, "bridge/requests") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			schema, err := schemas.Request(name)
			if err != nil {
				t.Fatal(err)
			}
			written, example := schemaOf(t, "bridge/requests", name)
			if _, named := example["id"]; named {
				example["id"] = 7
			}
			if _, named := example["channel"]; named && name != "call" {
				example["channel"] = "app:x" // which everybody may use
			}
			l := &line{t: t, s: s}
			variants := mutants(written, example)
			for _, variant := range slices.Sorted(maps.Keys(variants)) {
				frame := variants[variant]
				if l.conn == nil {
					l.open(ctx)
					if name != "hello" {
						l.hello(ctx)
					}
				}
				fits := schema.Validate(frame) == nil
				told := outcomeOf(ctx, l, name, frame)
				judge(t, variant, frame, fits, told)
				if name == "hello" || told["op"] == "closed" || told["close"] == true {
					_ = l.conn.CloseNow()
					l.conn = nil
				}
			}
		})
	}
}

func outcomeOf(ctx context.Context, l *line, name string, frame []byte) map[string]any {
	if name == "hello" {
		l.send(ctx, frame)
		return l.read(ctx)
	}
	return l.outcome(ctx, frame)
}

// judge compares what was told with what the schema says.
func judge(t *testing.T, variant string, frame []byte, fits bool, told map[string]any) {
	t.Helper()
	number, _ := told["code"].(float64)
	code := schemas.Code(number)
	message, _ := told["message"].(string)
	refused := told["op"] == "error" && slices.Contains(malformed, code)
	switch {
	case code == schemas.Internal:
		t.Errorf("%s: internal: %.300s", variant, frame)
	case told["op"] == "closed" && fits:
		t.Errorf("%s: closed with %v %s: %.300s", variant, number, message, frame)
	case fits && refused:
		t.Errorf("%s: the schema allows it, but %v %s: %.300s", variant, number, message, frame)
	case !fits && !refused && told["op"] != "closed" && !slices.Contains(others, code):
		t.Errorf("%s: the schema forbids it, but %v: %.300s", variant, told, frame)
	case refused && message == "":
		t.Errorf("%s: refused without a sentence: %.300s", variant, frame)
	}
}
