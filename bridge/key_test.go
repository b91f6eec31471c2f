package bridge

import (
	"net/http"
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// A key that was taken comes back with its event, so that whoever was cut off finds in
// the replay what they sent; one that could not come back is refused at every door.
func TestAKeyThatIsTakenComesBack(t *testing.T) {
	t.Parallel()
	kind, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{kind}})
	b, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{kind}})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":"log:1"`)
	for key, want := range map[string]string{
		`k`: "k", `k k`: "k k", `a/b.*>`: "a/b.*>", `=2F=`: "=2F=", `ñ\u2028\u200b`: "ñ\u2028\u200b", `\"<&>`: `"<&>`,
		`a\nb`: "", `\u0001`: "", `\u007f`: "", `\u0085`: "", ``: "",
	} {
		if want != "" {
			c.must(`"op":"publish","channel":"log:1","event":"said","key":"%s","data":1`, key)
			if event := c.expect("event"); event["key"] != want {
				t.Errorf("%s came back as %q", key, event["key"])
			}
			continue
		}
		for _, frame := range []string{
			`"op":"publish","channel":"log:1","event":"said","key":"%s","data":1`,
			`"op":"call","channel":"room:1","command":"post","key":"%s","data":{"text":"hi"}`,
			`"op":"track","channel":"log:1","key":"%s"`,
		} {
			if answer := c.ask(frame, key); answer["code"] != float64(schemas.InvalidFrame) {
				t.Errorf("%s in %s: %v", key, frame, answer)
			}
		}
		for path, body := range map[string]string{
			"/api/channels/log%3A1/events":         `{"event":"said","key":"` + key + `","data":1}`,
			"/api/channels/room%3A1/commands/post": `{"key":"` + key + `","data":{"text":"hi"}}`,
		} {
			if status, answer := request(t, b, token(t, b, "ana", ""), http.MethodPost, path, body); status != http.StatusBadRequest {
				t.Errorf("%s at %s: %d %v", key, path, status, answer)
			}
		}
	}
}
