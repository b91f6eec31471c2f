package bridge

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

func TestBodies(t *testing.T) {
	t.Parallel()
	kind, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{kind}})
	b, _ := runBridge(t, bus, Config{Dev: true, Kinds: []subjects.Kind{kind}, Limits: session.Limits{Frame: 8 << 10}})
	const events, status, form = "/api/channels/log%3A1/events", "/api/presence/status", "application/x-www-form-urlencoded"
	bomb := layers(t, bytes.Repeat([]byte{'0'}, 1<<20), 2)
	for name, row := range map[string]struct {
		path, kind, encoding, body string
		code                       float64
		field                      string
	}{
		"latin1":                   {events, "", "", "{\"event\":\"said\",\"data\":{\"name\":\"Mu\xf1oz\"}}", 4000, "data.name"},
		"a number no double holds": {events, "", "", `{"event":"said","data":{"items":[{"price":1e400}]}}`, 4000, "data.items[0].price"},
		"half of a pair":           {events, "", "", `{"event":"said","data":"\ud83d"}`, 4000, "data"},
		"a name twice":             {events, "", "", `{"event":"said","data":{"a":1,"a":1}}`, 4000, "data.a"},
		"U+0000":                   {events, "", "", `{"event":"said","data":["\u0000"]}`, 4000, "data[0]"},
		"a byte order mark":        {events, "", "", "\ufeff{}", 4000, ""},
		"two objects":              {events, "", "", `{"event":"said"}{}`, 4000, ""},
		"a list":                   {events, "", "", `[]`, 4000, ""},
		"null":                     {events, "", "", `null`, 4000, ""},
		"no event":                 {events, "", "", `{"data":{}}`, 4002, ""},
		"a control character":      {events, "", "", `{"event":"sa\nid","data":{}}`, 4002, ""},
		"gzip twice":               {events, "", "gzip, gzip", bomb, 4134, ""},
		"deflate":                  {events, "", "deflate", "x", 4134, ""},
		"br, without a token":      {status, "", "br", "x", 4134, ""},
		"gzip of a form":           {status, form, "gzip", bomb, 4134, ""},
		"gzip of parts":            {status, "multipart/form-data; boundary=x", "gzip", bomb, 4134, ""},
		"gzip of a dev token":      {"/dev/token", "", "gzip", bomb, 4134, ""},
		"gzip anywhere":            {"/healthz", "", "GZIP", bomb, 4134, ""},
		"too large":                {events, "", "", `{"event":"said","data":"` + strings.Repeat("x", 9000) + `"}`, 4130, ""},
		"too large when told":      {events, "", "", `{"event":"said","data":"` + strings.Repeat("x", 8100) + `"}`, 4133, ""},
		"too large a form":         {status, form, "", "token=" + strings.Repeat("x", 9000), 4130, ""},
		"a form in latin1":         {status, form, "", "status=online&custom_message=Mu%F1oz", 4003, "custom_message"},
		"a path in latin1":         {"/api/channels/log%3AMu%F1oz/events", "", "", `{"event":"said"}`, 4002, ""},
		"a query in latin1":        {events + "?since=%F1", "", "", `{"event":"said"}`, 4002, ""},
		"a broken escape":          {events + "?since=%F", "", "", `{"event":"said"}`, 4002, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addr()+row.path, strings.NewReader(row.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+token(t, b, "ana", ""))
			r.Header.Set("Content-Type", row.kind)
			r.Header.Set("Content-Encoding", row.encoding)
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			var answer message
			if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			errors, _ := answer["errors"].(map[string]any)
			if _, named := errors[row.field]; answer["code"] != row.code || answer["retry"] != false || row.field != "" && !named {
				t.Errorf("%d %v, want %v of %q", response.StatusCode, answer, row.code, row.field)
			}
			if answer["reason"] == "" || answer["message"] == "" {
				t.Errorf("it does not say why: %v", answer)
			}
		})
	}
}

// Whoever is refused for a body that is too large is told so although they are still
// sending it, more than sockets hold.
func TestWhoSendsTooMuchHearsOfIt(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Limits: session.Limits{Frame: 8 << 10}})
	const length = 32 << 20
	r := connectRaw(t, b)
	r.write(fmt.Appendf(nil, "POST /api/channels/log%%3A1/events HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", b.Addr(), length))
	for range length / (64 << 10) {
		r.write(make([]byte, 64<<10))
	}
	response, err := http.ReadResponse(r.in, nil)
	if err != nil || response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%+v, %v", response, err)
	}
}

// layers compresses data again and again.
func layers(t *testing.T, data []byte, n int) string {
	t.Helper()
	for range n {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	return string(data)
}

// What is stored is what was sent, without blanks: every digit of a number, and
// the keys in their order.
func TestStoredAsSent(t *testing.T) {
	t.Parallel()
	kind, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{kind}})
	b, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{kind}})
	const data, want = "{\n  \"b\": 12345678901234567890,\n  \"a\": [ 1.50, \"\u2028 é\" ]\n}", "{\"b\":12345678901234567890,\"a\":[1.50,\"\u2028 é\"]}"
	c := dial(t, b, "ana")
	c.must(`"op":"publish","channel":"log:1","event":"said","key":"k","data":%s`, data)
	first := c.must(`"op":"publish","channel":"log:1","event":"said","key":"k","data":%s`, want).seq()
	status, answer := request(t, b, token(t, b, "ana", ""), http.MethodPost, "/api/channels/log%3A1/events", `{"event":"said","key":"k","data":`+data+`}`)
	if status != http.StatusOK || answer.seq() != first || first != 1 {
		t.Errorf("a repetition with blanks was stored again, at %d: %d %v", first, status, answer)
	}
	stored, _, err := history.Message(t.Context(), bus.Connect(t), subjects.StreamApp, 1)
	if err != nil || string(stored.Data) != want {
		t.Errorf("stored %s, %v", stored.Data, err)
	}
}
