package bridge

import (
	"fmt"
	"testing"

	"github.com/coder/websocket"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects/topology/bustest"
)

// A difference says what was told before, and who came first and went last, by user and
// by key, and names each content alike on every node.
func TestDifferencesSayWhatWas(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	const channel, text = "app:turnover", websocket.MessageText
	phone := dial(t, one, "ana")
	watchers := []lineClient{joinLines(t, one, "/deltas", "JOIN", channel), joinLines(t, two, "/deltas", "JOIN", channel)}
	laptop := joinLines(t, two, "/lines", "HUSH", channel)
	luis := dial(t, two, "luis")
	expect := func(format string, args ...any) {
		t.Helper()
		for _, w := range watchers {
			w.expect(fmt.Sprintf(format, args...), text)
		}
	}
	digest := func(m wire.Member) string {
		m.User, m.Name, m.Key = "ana", "ana", "desk"
		return m.Digest()
	}
	calm, busy := wire.Member{Ref: phone.ref(), Meta: []byte(`"calm"`)}, wire.Member{Ref: phone.ref(), Meta: []byte(`"busy"`)}

	phone.must(`"op":"track","channel":%q,"key":"desk","meta":"calm"`, channel)
	expect("users +[ana] -[] keys +[desk] -[] in desk(): %s", digest(calm))
	phone.must(`"op":"track","channel":%q,"key":"desk","meta":"busy"`, channel)
	expect("users +[] -[] keys +[] -[] desk(): %s after %s", digest(busy), digest(calm))
	phone.must(`"op":"track","channel":%q,"key":"desk","meta":"busy"`, channel) // no news

	laptop.send(text, `HERE desk "busy"`)
	told := map[string]bool{}
	for _, w := range watchers {
		told[w.read()] = true
	}
	if len(told) != 1 {
		t.Errorf("told %v", told)
	}
	for said := range told {
		var here string
		if n, err := fmt.Sscanf(said, "users +[] -[] keys +[] -[] in desk(nurse): %s", &here); n != 1 || err != nil || here == digest(busy) {
			t.Errorf("told %q", said)
		}
		laptop.send(text, "GONE")
		expect("users +[] -[] keys +[] -[] out desk(nurse): %s", here)
	}
	luis.must(`"op":"track","channel":%q,"key":"desk"`, channel)
	expect("users +[luis] -[] keys +[] -[] in desk(): %s", wire.Member{User: "luis", Name: "luis", Key: "desk", Ref: luis.ref()}.Digest())
	phone.must(`"op":"untrack","channel":%q`, channel)
	expect("users +[] -[ana] keys +[] -[] out desk(): %s", digest(busy))
}
