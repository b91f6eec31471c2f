package bridge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// written is what some backend writes to the bus, and the data that browsers get,
// or "" when it is nothing that they could read.
var written = []struct {
	event, from, encoding, data string
	want                        any
}{
	{event: "said", data: `{"a":1}`, want: map[string]any{"a": 1.0}},
	{event: "said", data: "{\n  \"a\": [ 1,\r\n2 ]\n}\n", want: map[string]any{"a": []any{1.0, 2.0}}},
	{event: "said", data: ``, want: nil},
	{event: "said", data: "\xff\xfe not JSON\n", encoding: "binary", want: "//4gbm90IEpTT04K"},
	{event: "said", data: ``, encoding: "binary", want: ""},
	{event: "said", data: "{\"name\":\"Mu\xf1oz\"}", want: unread},
	{event: "said", data: `plain text`, want: unread},
	{event: "said", data: `{"a":"\ud800"}`, want: unread},
	{event: "said", data: `{"a":1e400}`, want: unread},
	{event: "said", data: `{"a":1,"a":2}`, want: unread},
	{event: "said", data: strings.Repeat("[", 65) + strings.Repeat("]", 65), want: unread},
	{event: "said", data: `{}`, encoding: "rot13", want: unread},
	{event: "said", data: `"` + strings.Repeat("x", 64<<10) + `"`, want: unread},
	{event: "said", data: strings.Repeat("x", 50<<10), encoding: "binary", want: unread},
	{event: "", data: `{}`, want: unread},
	{event: "said\x00\n", data: `{}`, want: unread},
	{event: "sa\xffd", data: `{}`, want: unread},
	{event: strings.Repeat("e", 101), data: `{}`, want: unread},
	{event: "said", from: "an\xffa", data: `{}`, want: unread},
	{event: "é <said>", from: "señora\u2028", data: `"\u2028\u00e9"`, want: "\u2028é"},
	{event: "said", data: `"the end"`, want: "the end"},
}

type unreadable struct{}

var unread unreadable

func write(t *testing.T, nc *nats.Conn, subject string, i int) {
	t.Helper()
	row := written[i]
	msg := nats.NewMsg(subject)
	msg.Data = []byte(row.data)
	subjects.SetText(msg.Header, subjects.HeaderEvent, row.event)
	subjects.SetText(msg.Header, subjects.HeaderFrom, row.from)
	if row.encoding != "" {
		msg.Header.Set(subjects.HeaderEncoding, row.encoding)
	}
	if !strings.HasPrefix(subject, "evt.") {
		if err := nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		return
	}
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

// told holds a message to the row that it tells of.
func told(t *testing.T, i int, got message) {
	t.Helper()
	row := written[i]
	if got["event"] != row.event || fmt.Sprint(got["data"]) != fmt.Sprint(row.want) {
		t.Errorf("row %d: got %v, want %v", i, got, row.want)
	}
	if encoding := got["encoding"]; (encoding == "base64") != (row.encoding == "binary") {
		t.Errorf("row %d: the encoding is %v", i, encoding)
	}
	if row.from != "" && got["from"] != row.from {
		t.Errorf("row %d: it is from %v", i, got["from"])
	}
}

// counted is a counter of the bridge's, by its name.
func (b *Bridge) counted(t *testing.T, name string) int {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "latido_bridge_"+name {
			return int(family.GetMetric()[0].GetCounter().GetValue())
		}
	}
	t.Fatalf("no counter %s", name)
	return 0
}

// A backend may write anything to the bus. What browsers cannot read does not
// reach them, and they read on.
func TestLiveEventsOfABackend(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":"app:1"`)
	lost := 0
	for i, row := range written {
		write(t, bus.Connect(t), "live.app.1", i)
		if row.want == unread {
			lost++
			continue
		}
		told(t, i, c.expect("event"))
	}
	wait(t, "all to be counted", func() bool { return b.counted(t, "unreadable_total") == lost })
}

// Where events are stored, a gap stands in the place of one that nobody can read:
// live, in a replay, and in the list that HTTP gives.
func TestStoredEventsOfABackend(t *testing.T) {
	t.Parallel()
	kind, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{kind}})
	b, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{kind}})
	c := dial(t, b, "ana")
	c.must(`"op":"subscribe","channel":"log:1"`)
	nc := bus.Connect(t)
	for i := range written {
		write(t, nc, "evt.log.1", i)
	}
	hold := func(how string, c *client) {
		t.Helper()
		for i, row := range written {
			got := c.find(how, func(m message) bool { return m.op() == "event" || m.op() == "gap" })
			if row.want != unread {
				told(t, i, got)
				continue
			}
			epoch, sequence := position(got)
			if got.op() != "gap" || got["from"] != float64(i+1) || got["to"] != float64(i+1) || epoch == "" || sequence != uint64(i+1) {
				t.Errorf("%s: row %d: %v", how, i, got)
			}
		}
	}
	hold("live", c)
	late := dial(t, b, "eva")
	late.must(`"op":"subscribe","channel":"log:1","last":100`)
	hold("from the ring", late)
	other, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{kind}})
	cold := dial(t, other, "eva")
	cold.must(`"op":"subscribe","channel":"log:1","last":100`)
	hold("replay", cold)

	status, answer := request(t, b, token(t, b, "ana", ""), http.MethodGet, "/api/channels/log%3A1/events?limit=1000", "")
	events, _ := answer["events"].([]any)
	gaps, _ := answer["gaps"].([]any)
	if status != http.StatusOK || len(events)+len(gaps) != len(written) {
		t.Fatalf("HTTP: %d, %d events and %d gaps", status, len(events), len(gaps))
	}
	for i, row := range written {
		if row.want == unread {
			if gap, _ := gaps[0].(map[string]any); gap["from"] != float64(i+1) || gap["to"] != float64(i+1) {
				t.Errorf("HTTP: row %d: %v", i, gap)
			}
			gaps = gaps[1:]
			continue
		}
		event, _ := events[0].(map[string]any)
		told(t, i, event)
		events = events[1:]
	}
}

// What a member says about itself comes from the bus as well.
func TestRecordsAreReadable(t *testing.T) {
	t.Parallel()
	entry := func(value string) seat.Entry[hub.Record] {
		seen, _, ok := hub.ReadEntry("b1.app.x.ana.r1", 1, nil, []byte(value), 0)
		if !ok {
			t.Errorf("%q: not an entry", value)
		}
		return seen.Entry
	}
	if e := entry("{\"user\":\"ana\",\n\"meta\":{ \"seat\": 12345678901234567890\n}}"); e.Left || string(e.Value.Meta) != `{"seat":12345678901234567890}` {
		t.Errorf("with line breaks: %+v", e)
	}
	if e := entry(`{"user":"ana","meta":` + nested(64) + `}`); e.Left || string(e.Value.Meta) != nested(64) {
		t.Errorf("with as deep a meta as a frame may hold: %+v", e)
	}
	for _, value := range []string{"{\"user\":\"ana\",\"meta\":\"Mu\xf1oz\"}", `{"user":"ana","meta":"\ud800"}`, `{"user":"ana"}}`, `[]`, `{"user":"ana","meta":` + nested(65) + `}`} {
		if e := entry(value); !e.Left {
			t.Errorf("%q: %+v", value, e)
		}
	}
}

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// Whoever is told that they are shown is: what the bucket takes, its readers take.
func TestDeepMeta(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	ana, luis := dial(t, b, "ana"), dial(t, b, "luis")
	luis.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	luis.expect("presence")
	ana.must(`"op":"track","channel":%q,"meta":%s`, lobby, nested(63))
	luis.change("joins", ana.ref())
	ana.must(`"op":"track","channel":%q,"meta":%s`, lobby, nested(64))
	luis.change("updates", ana.ref())
	var answer struct{ Count int }
	get(t, b, "luis", "/api/channels/"+lobby+"/presence", &answer)
	if answer.Count != 1 {
		t.Errorf("over HTTP: %d members", answer.Count)
	}
	if refused := ana.ask(`"op":"track","channel":%q,"meta":%s`, lobby, nested(65)); refused["reason"] != "invalid_json" {
		t.Errorf("deeper: %v", refused)
	}
}
