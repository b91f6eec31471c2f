package bytes

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/latido/latido/schemas/sample"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

var (
	seed  = flag.Uint64("seed", 1, "of what is sent")
	count = flag.Int("count", 60, "how much is sent through each door")
)

// attempt is something that was sent through a door.
type attempt struct {
	door     string
	channel  subjects.Channel
	key      string
	data     string // as it was sent
	must     bool   // it is JSON that every reader can take
	judged   bool   // the door said yes or no
	code     int    // of its refusal, 0 for a yes
	sequence uint64 // where it is stored without being judged
}

// door is a way into the system.
type door struct {
	name    string
	channel subjects.Channel
	send    func(s *system, a *attempt)
}

func judged(send func(s *system, a *attempt) int) func(*system, *attempt) {
	return func(s *system, a *attempt) { a.judged, a.code = true, send(s, a) }
}

var doors = []door{
	{"socket, live", live, judged(publishBySocket("said"))},
	{"socket, stored", stored, judged(publishBySocket("said"))},
	{"socket, room", room, judged(publishBySocket("new_message"))},
	{"HTTP, live", live, judged(publishOverHTTP("said"))},
	{"HTTP, stored", stored, judged(publishOverHTTP("said"))},
	{"HTTP, room", room, judged(publishOverHTTP("new_message"))},
	{"command over HTTP", room, judged(func(s *system, a *attempt) int {
		return s.overHTTP("/api/channels/"+url.PathEscape(room.String())+"/commands/post", fmt.Sprintf(`{"key":%q,"data":%s}`, a.key, a.data))
	})},
	{"command on the bus", room, judged(func(s *system, a *attempt) int { return s.command(a.key, a.data) })},
	{"bus, live", live, func(s *system, a *attempt) { s.onBus(live, a.key, a.data) }},
	{"bus, stored", stored, func(s *system, a *attempt) { a.sequence = s.onBus(stored, a.key, a.data) }},
}

func publishBySocket(event string) func(*system, *attempt) int {
	return func(s *system, a *attempt) int {
		return s.bySocket(fmt.Sprintf(`"op":"publish","channel":%q,"event":%q,"key":%q,"data":%s`, a.channel, event, a.key, a.data))
	}
}

func publishOverHTTP(event string) func(*system, *attempt) int {
	return func(s *system, a *attempt) int {
		path := "/api/channels/" + url.PathEscape(a.channel.String()) + "/events"
		return s.overHTTP(path, fmt.Sprintf(`{"event":%q,"key":%q,"data":%s}`, event, a.key, a.data))
	}
}

// TestWhatEntersCanBeRead sends any JSON and any bytes through every door.
func TestWhatEntersCanBeRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	readers := []*reader{s.readSocket()}
	if client := s.readByClient(); client != nil {
		readers = append(readers, client)
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	var attempts []*attempt
	for i := range *count {
		for n, door := range doors {
			a := &attempt{door: door.name, channel: door.channel, key: fmt.Sprintf("%d.%d", i, n)}
			a.data, a.must = invent(random, door.channel)
			door.send(s, a)
			attempts = append(attempts, a)
		}
	}
	for _, channel := range []subjects.Channel{live, stored, room} {
		last := &attempt{channel: channel, key: end + channel.String(), data: `{"text":"the end"}`}
		event := "said"
		if channel == room {
			event = "new_message"
		}
		if code := publishBySocket(event)(s, last); code != 0 {
			t.Fatalf("the end of %s: %d", channel, code)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), kit.Patience)
	defer cancel()
	for _, r := range readers {
		r.wait(ctx, t)
	}
	list := newReader("the list over HTTP")
	s.readList(stored, list)
	s.readList(room, list)
	for _, a := range attempts {
		a.judge(t, readers[0], append(slices.Clone(readers), list))
	}
	codes := make(map[int]int)
	for _, a := range attempts {
		codes[a.code]++
	}
	t.Logf("%d sent, by code %v; read %d at the socket, %d in the list", len(attempts), codes, len(readers[0].got), len(list.got))
	if t.Failed() {
		t.Logf("go test ./tests/bytes -seed %d -count %d", *seed, *count)
	}
}

// judge holds what became of an attempt to the promise.
func (a *attempt) judge(t *testing.T, socket *reader, readers []*reader) {
	t.Helper()
	_, taken := socket.got[a.key]
	switch {
	case a.must && !taken:
		t.Errorf("%s: %q was not taken (%d)", a.door, a.data, a.code)
	case a.judged && a.code == 0 && !taken:
		t.Errorf("%s: %q was taken, and did not come", a.door, a.data)
	case a.judged && a.code != 0 && taken:
		t.Errorf("%s: %q was refused with %d, and came", a.door, a.data, a.code)
	case a.code != 0 && !slices.Contains(mayRefuse, a.code):
		t.Errorf("%s: %q: refused with %d", a.door, a.data, a.code)
	}
	for _, r := range readers {
		if r.name == "the list over HTTP" && a.channel == live {
			continue
		}
		data, came := r.got[a.key]
		if came != taken {
			t.Errorf("%s: %q: came to %s: %v, to %s: %v", a.door, a.data, socket.name, taken, r.name, came)
			continue
		}
		if !came {
			if a.sequence > 0 && r.name != "the client" && !r.gaps[a.sequence] {
				t.Errorf("%s: %q: %s was told nothing of %d", a.door, a.data, r.name, a.sequence)
			}
			continue
		}
		if want, got := a.value(t, r.name == "the client"), a.compared(data, r.name == "the client"); !reflect.DeepEqual(want, got) {
			t.Errorf("%s: %q came to %s as %v", a.door, a.data, r.name, got)
		}
	}
}

// value is what was sent: with its numbers as they are spelled or, for JavaScript,
// as doubles.
func (a *attempt) value(t *testing.T, doubles bool) any {
	t.Helper()
	var frame struct{ Data any }
	decoder := json.NewDecoder(strings.NewReader(`{"data":` + a.data + `}`))
	decoder.UseNumber()
	if err := decoder.Decode(&frame); err != nil {
		if a.data == "" {
			return nil // a message without a body
		}
		t.Errorf("%s: %q is no JSON, and was taken", a.door, a.data)
		return nil
	}
	return a.compared(frame.Data, doubles)
}

// compared is a value in a form to compare. Of a message only the text was chosen.
func (a *attempt) compared(value any, doubles bool) any {
	if object, ok := value.(map[string]any); ok && a.channel == room {
		value = object["text"]
	}
	return plain(value, doubles)
}

func plain(value any, doubles bool) any {
	switch v := value.(type) {
	case json.Number:
		if double, err := v.Float64(); doubles && err == nil {
			return double + 0 // JSON.stringify writes -0 as 0
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i], doubles)
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key], doubles)
		}
	}
	return value
}

// invent makes data for a channel, and says whether every reader can take it.
func invent(random *rand.Rand, channel subjects.Channel) (data string, must bool) {
	whole := string(sample.JSON(random, 5))
	if channel == room {
		whole = `{"text":` + string(sample.Text(random, random.IntN(40))) + `}`
	}
	if random.IntN(3) > 0 {
		return whole, true
	}
	if random.IntN(2) == 0 {
		bad := awkward[random.IntN(len(awkward))]
		if channel == room {
			return `{"text":` + bad + `}`, false
		}
		return []string{bad, `[` + bad + `]`, `{"a":` + whole + `,"b":` + bad + `}`}[random.IntN(3)], false
	}
	broken := []byte(whole)
	for range 1 + random.IntN(3) {
		switch at := random.IntN(len(broken)); random.IntN(3) {
		case 0:
			broken[at] = byte(random.IntN(256))
		case 1:
			broken = append(broken[:at], broken[min(at+1, len(broken)):]...)
		default:
			broken = slices.Insert(broken, at, byte(random.IntN(256)))
		}
		if len(broken) == 0 {
			break
		}
	}
	return string(broken), false
}

// awkward are JSON that some reader would lose, and what is no JSON.
var awkward = []string{
	`1e400`, `-1e999`, `1e-999`, strings.Repeat("9", 400), `"\ud800"`, `"\udc00\ud800"`, `"\u0000"`, `{"a":1,"\u0061":2}`, "\"\x00\"", "\"\n\"", "\"Mu\xf1oz\"",
	"\"\xed\xa0\x80\"", "\ufeff1", `NaN`, `Infinity`, `undefined`, `'a'`, `{a:1}`, `[1,]`, `{"a":1,}`, `01`, `1.`, `.5`, `+1`, `0x1`, `// a`, "", " ", "\n",
	strings.Repeat("[", 70) + strings.Repeat("]", 70), strings.Repeat("[", 64) + strings.Repeat("]", 64), `"` + strings.Repeat("x", 70_000) + `"`,
	`"` + strings.Repeat("\x7f", 3000) + `"`, `{"__proto__":{"a":1},"constructor":null}`, `{"":{"":""}}`, `"` + strings.Repeat(`\u2028`, 500) + `"`,
}

// TestAwkward keeps the list to what it says.
func TestAwkward(t *testing.T) {
	t.Parallel()
	unsound := 0
	for _, text := range awkward {
		if !json.Valid([]byte(text)) || !utf8.ValidString(text) {
			unsound++
		}
	}
	if unsound < 10 || unsound == len(awkward) {
		t.Errorf("%d of %d are no JSON", unsound, len(awkward))
	}
}
