package bridge

import (
	"testing"

	"github.com/latido/latido/subjects/topology/bustest"
)

// Who types is seen to, stops when they say so, and after a while when they do not.
func TestTypingEndsByItself(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	ana, luis := dial(t, b, "ana"), dial(t, b, "luis")
	// Each on a channel of its own: it ends by itself before the test does, perhaps.
	channels := []string{"app:said", "app:left"}
	for _, channel := range channels {
		luis.must(`"op":"subscribe","channel":%q`, channel)
	}
	typing := func(channel string, want bool) {
		t.Helper()
		event := luis.find("typing", func(m message) bool { return m.op() == "event" && m["channel"] == channel })
		data, _ := event["data"].(map[string]any)
		if event["event"] != "typing" || event["from"] != "ana" || (data["typing"] != false) != want || event["seq"] != nil {
			t.Fatalf("got %v, want typing %v", event, want)
		}
	}
	ana.must(`"op":"publish","channel":%q,"event":"typing","data":{"typing":true}`, channels[0])
	typing(channels[0], true)
	ana.must(`"op":"publish","channel":%q,"event":"typing","data":{"typing":false}`, channels[0])
	typing(channels[0], false)
	ana.must(`"op":"publish","channel":%q,"event":"typing","data":{}`, channels[1])
	typing(channels[1], true)
	_ = ana.conn.CloseNow()
	typing(channels[1], false)
}
