package eventstream

import (
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/bridge/wire"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	places := []wire.Position{
		{},
		{Sequence: 1},
		{Epoch: "dlw3k2", Sequence: 1<<53 - 1, At: time.Unix(1_772_359_200, 123_456_789).UTC()},
		{Epoch: "dlw3k2-UJ4", Sequence: 7, At: time.Unix(0, -1).UTC()},
	}
	c := New("key", []wire.Subscribe{{Channel: "room:1", Since: &places[1]}, {Channel: "app:live"}, {Channel: "user:ana"}})
	for _, want := range places {
		mark := string(c.Mark("user:ana", want, false))
		id, found := strings.CutPrefix(strings.TrimSuffix(mark, "\n"), "id: ")
		if !found || strings.ContainsAny(id, "\x00\r\n ") {
			t.Fatalf("%q", mark)
		}
		place, err := ReadID(id)
		if err != nil || place.Key != "key" || place.Of("app:live") != nil {
			t.Fatalf("%q: %+v, %v", id, place, err)
		}
		if got := place.Of("user:ana"); got == nil || *got != want {
			t.Errorf("%q: %+v, want %+v", id, got, want)
		}
		if got := place.Of("room:1"); got == nil || *got != places[1] {
			t.Errorf("%q: %+v, want %+v", id, got, places[1])
		}
	}
}

func FuzzReadID(f *testing.F) {
	f.Add("key,abc.1.2.e")
	f.Add(",")
	f.Add("")
	f.Fuzz(func(t *testing.T, id string) {
		place, err := ReadID(id)
		if err != nil {
			return
		}
		for _, p := range place.positions {
			if mark := string(New("", []wire.Subscribe{{Channel: "x", Since: &p}}).Mark("", p, false)); strings.Count(mark, "\n") != 1 || strings.ContainsAny(mark, "\r\x00") {
				t.Errorf("%q becomes %q", id, mark)
			}
		}
	})
}

func TestEncodeIsOneEvent(t *testing.T) {
	t.Parallel()
	notices := map[string]wire.Notice{
		"event": wire.Event{Channel: "app:x", Event: "a\nb", Data: []byte(`"c\nd"`)}, "presence": wire.State{Channel: "app:x"},
		"gap": wire.Gap{}, "error": wire.Error{Message: "no\r\n\r\n"}, "degraded": wire.Degraded{}, "restored": wire.Restored{},
		"drain": wire.Drain{}, "unsubscribed": wire.Unsubscribed{},
	}
	for op, notice := range notices {
		told := ""
		Encoder{}.Encode([]byte("what was before"), notice, func(message []byte, _ bool) { told += string(message) })
		if !strings.HasPrefix(told, "event: "+op+"\ndata: {") || !strings.HasSuffix(told, "}\n\n") || strings.Count(told, "\n") != 3 || strings.Contains(told, "\r") {
			t.Errorf("%s: %q", op, told)
		}
	}
}
