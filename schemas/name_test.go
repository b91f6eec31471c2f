package schemas_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/latido/latido/schemas"
)

// Keys and the names of events are one line each; their schemas and checks agree.
func TestNamesAreLines(t *testing.T) {
	t.Parallel()
	publish, err := schemas.Request("publish")
	if err != nil {
		t.Fatal(err)
	}
	for name, takes := range map[string]bool{
		"k": true, "k k": true, "a/b.c*>": true, "ñ\u2028": true, strings.Repeat("k", 100): true,
		"": false, "a\nb": false, "a\tb": false, "\u0001": false, "\u007f": false, "\u0085": false, "\u009f": false, strings.Repeat("ñ", 101): false,
	} {
		if err := schemas.CheckKey(name); (err == nil) != takes {
			t.Errorf("key %q: %v", name, err)
		}
		if err := schemas.CheckEvent(name); (err == nil) != takes && len(name) <= schemas.MaxEvent {
			t.Errorf("event %q: %v", name, err)
		}
		for _, field := range []string{"key", "event"} {
			frame := map[string]any{"id": 1, "op": "publish", "channel": "app:1", "event": "said", "data": 1}
			frame[field] = name
			body, err := json.Marshal(frame)
			if err != nil {
				t.Fatal(err)
			}
			if err := publish.Validate(body); (err == nil) != takes {
				t.Errorf("%s %q: %v", field, name, err)
			}
		}
	}
	for _, broken := range []string{"\xff", "a\xc3"} {
		if schemas.CheckKey(broken) == nil || schemas.CheckEvent(broken) == nil {
			t.Errorf("%q is no UTF-8, and taken", broken)
		}
	}
}
