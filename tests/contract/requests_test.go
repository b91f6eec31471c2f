package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	limits "github.com/latido/latido/bridge"
	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/tests/kit"
)

// generous lets the tests ask as fast as they can.
func generous(cfg *stack.Config) {
	cfg.Limits = limits.Limits{Publishes: 1 << 20, UserPublishes: 1 << 20}
}

// malformed are the codes that say no to the form of a request, and others those
// that a form which a schema forbids may be refused with as well.
var (
	malformed = []schemas.Code{schemas.InvalidJSON, schemas.InvalidFrame, schemas.UnknownOp, schemas.FrameTooLarge}
	others    = []schemas.Code{schemas.InvalidData, schemas.UnknownKind, schemas.UnknownCommand, schemas.Unauthenticated, schemas.TooManyChannels}
)

// client is one connection on which one thing is asked after another.
type client struct {
	*kit.RawClient

	next int
}

// hello connects as ana, an operator.
func (s system) hello(t *testing.T) *client {
	t.Helper()
	return &client{RawClient: kit.Welcomed(t, s.Address(), bridge.Hello{Token: s.token("ana", "operator")})}
}

// outcome is what a frame led to: one frame at a time is sent, so the first answer
// or refusal is its own. Behind one that has no answer a question is asked.
func (c *client) outcome(frame []byte) kit.Frame {
	c.Send(frame)
	probe := float64(0)
	if unanswered(frame) {
		c.next++
		probe = float64(1<<40 + c.next)
		c.Send(fmt.Appendf(nil, `{"id":%.0f,"op":"count","channel":"nokind:x"}`, probe))
	}
	for told := kit.Frame(nil); ; {
		notice := c.Next()
		switch {
		case notice["op"] == kit.Closed, probe == 0 && (notice["op"] == "ok" || notice["op"] == "error"):
			return notice
		case probe > 0 && notice["id"] == probe && told == nil:
			return kit.Frame{"op": "nothing"}
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
			var c *client
			variants := mutants(written, example)
			for _, variant := range slices.Sorted(maps.Keys(variants)) {
				frame := variants[variant]
				switch {
				case c != nil:
				case name == "hello":
					c = &client{RawClient: kit.Dial(t, s.Address())}
				default:
					c = s.hello(t)
				}
				fits := schema.Validate(frame) == nil
				told := outcomeOf(c, name, frame)
				judge(t, variant, frame, fits, told)
				if name == "hello" || told["op"] == kit.Closed || told["close"] == true {
					c.CloseNow()
					c = nil
				}
			}
		})
	}
}

func outcomeOf(c *client, name string, frame []byte) kit.Frame {
	if name == "hello" {
		c.Send(frame)
		return c.Next()
	}
	return c.outcome(frame)
}

// judge compares what was told with what the schema says.
func judge(t *testing.T, variant string, frame []byte, fits bool, told kit.Frame) {
	t.Helper()
	code := told.Code()
	message, _ := told["message"].(string)
	refused := told["op"] == "error" && slices.Contains(malformed, code)
	switch {
	case code == schemas.Internal:
		t.Errorf("%s: internal: %.300s", variant, frame)
	case told["op"] == kit.Closed && code == 0:
		t.Errorf("%s: %v: %.300s", variant, told, frame)
	case told["op"] == kit.Closed && fits:
		t.Errorf("%s: closed with %d %s: %.300s", variant, code, message, frame)
	case fits && refused:
		t.Errorf("%s: the schema allows it, but %d %s: %.300s", variant, code, message, frame)
	case !fits && !refused && told["op"] != kit.Closed && !slices.Contains(others, code):
		t.Errorf("%s: the schema forbids it, but %v: %.300s", variant, told, frame)
	case refused && message == "":
		t.Errorf("%s: refused without a sentence: %.300s", variant, frame)
	}
}
