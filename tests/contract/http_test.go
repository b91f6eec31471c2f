package contract

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// formHeader says that a body is a form.
var formHeader = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}

// TestEveryRefusalHasItsShape asks every address for what it does not give.
func TestEveryRefusalHasItsShape(t *testing.T) {
	t.Parallel()
	s := run(t, nil)
	long := strings.Repeat("x", 70<<10) // within what sockets hold, or the answer may be lost to a reset
	for _, row := range []struct {
		method, path, body string
		headers            map[string]string
		status, code       int
	}{
		{method: "GET", path: "/nothing/here", status: 404, code: 4040},
		{method: "GET", path: "/api/nothing", status: 404, code: 4040},
		{method: "PATCH", path: "/api/channels/app:x/events", status: 405, code: 4050},
		{method: "DELETE", path: "/healthz", status: 405, code: 4050},
		{method: "GET", path: "/ws", status: 426, code: 4260},
		{method: "FOO", path: "/api/nothing", status: 405, code: 4050},
		{method: "FOO", path: "/healthz", status: 405, code: 4050},
		{method: "GET", path: "/api/users/a%00/status", status: 404, code: 4004},
		{method: "GET", path: "/api/users/%20/status", status: 400, code: 4002},
		{method: "GET", path: "/api/users/" + strings.Repeat("u", 129) + "/status", status: 400, code: 4002},
		{method: "POST", path: "/api/channels/room%3Ah%00h/commands/open", body: `{"data":{"members":[]}}`, status: 404, code: 4004},
		{method: "POST", path: "/api/channels/app%3A%00/events", body: `{"event":"e","data":{}}`, status: 404, code: 4004},
		{method: "POST", path: "/api/channels/app:x/events?x=1", body: `{"event":"e","data":{}}`, status: 400, code: 4002},
		{method: "POST", path: "/api/presence/status?x=1", body: `{"status":"busy"}`, status: 400, code: 4002},
		{method: "DELETE", path: "/api/presence/status?x=1", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/app%3Ax/presence?limit=1&limit=2", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/app%3Ax/presence?count=yes", status: 422, code: 4003},
		{method: "POST", path: "/api/channels/app:x/events", body: long, status: 413, code: 4130},
		{method: "GET", path: "/api/channels/app:x/presence", headers: map[string]string{"Authorization": "none"}, status: 401, code: 4010},
		{method: "GET", path: "/api/channels/nokind/events", status: 404, code: 4004},
		{method: "GET", path: "/api/channels/nokind:x/events", status: 404, code: 4004},
		{method: "GET", path: "/api/channels/app:x/events", status: 404, code: 4006},
		{method: "GET", path: "/api/channels/app%3Ax/events?before=1", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/app%3Ax/presence?limit=0", status: 422, code: 4003},
		{method: "GET", path: "/api/channels/app%3Ax/presence?limits=5", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/app%3Ax/stream?limit=1", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/app%3Ax/stream?presence=yes", status: 422, code: 4003},
		{method: "GET", path: "/api/channels/app%3Ax/stream?last=0", status: 422, code: 4003},
		{method: "GET", path: "/api/channels/nokind%3Ax/stream", status: 404, code: 4004},
		{method: "GET", path: "/api/channels/app%3Ax/stream?ticket=x", headers: map[string]string{"Authorization": ""}, status: 401, code: 4010},
		{method: "POST", path: "/api/channels/app%3Ax/stream", status: 405, code: 4050},
		{method: "POST", path: "/api/tickets?for=app", status: 400, code: 4002},
		{method: "GET", path: "/api/tickets", status: 405, code: 4050},
		{method: "GET", path: "/api/users/ana/status?at=now", status: 400, code: 4002},
		{method: "GET", path: "/api/users/ana/duty?from=x", status: 422, code: 4003},
		{method: "GET", path: "/api/groups/none/online?when=now", status: 400, code: 4002},
		{method: "POST", path: "/api/channels/app:x/events", body: `{`, status: 400, code: 4000},
		{method: "POST", path: "/api/channels/app:x/events", body: `[]`, status: 400, code: 4000},
		{method: "POST", path: "/api/channels/app:x/events", body: ``, status: 400, code: 4000},
		{method: "POST", path: "/api/channels/app:x/events", body: `{"data":{}}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/app:x/events", body: `{"event":"","data":{}}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/app:x/events", body: `{"event":"e"}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/app:x/events", body: `{"event":"e","data":{},"to":"luis"}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/app:x/events", body: `{"event":7,"data":{}}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/app:x/events", body: `{"event":"e","data":{},"key":"` + strings.Repeat("k", 1000) + `"}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/room:x/commands/open", body: `{"members":["luis"]}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/room:x/commands/open", body: `{"event":"e","data":{"members":["luis"]}}`, status: 400, code: 4002},
		{method: "POST", path: "/api/channels/room:x/commands/remove", body: `{"data":{}}`, status: 404, code: 4005},
		{method: "POST", path: "/api/channels/room:x/commands/Open", body: `{"data":{}}`, status: 404, code: 4005},
		{method: "POST", path: "/api/channels/app:x/commands/open", body: `{"data":{}}`, status: 404, code: 4005},
		{method: "POST", path: "/api/channels/group:x/commands/observe", body: `{"data":{}}`, status: 404, code: 4005},
		{method: "POST", path: "/api/presence/status", body: `{"status":"busy","mood":"good"}`, status: 400, code: 4002},
		{method: "POST", path: "/api/presence/status", body: `status=busy&mood=good`, headers: formHeader, status: 400, code: 4002},
		{method: "POST", path: "/api/presence/status", body: `status=busy&status=online`, headers: formHeader, status: 400, code: 4002},
		{method: "POST", path: "/api/presence/status", body: `x`, headers: map[string]string{"Content-Type": "multipart/form-data"}, status: 400, code: 4002},
		{method: "DELETE", path: "/api/presence/status", body: `{"x":1}`, status: 400, code: 4002},
		{method: "DELETE", path: "/api/presence/status", body: `x`, status: 400, code: 4000},
		{method: "GET", path: "/api/channels/user:ana/events?since=1&epoch=" + strings.Repeat("e", 65), status: 422, code: 4003},
		{method: "GET", path: "/api/channels/user:ana/events?since=1&epoch=e&at=noon", status: 422, code: 4003},
		{method: "GET", path: "/api/channels/user:ana/events?since=&epoch=e", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/user:ana/events?since=&at=2026-11-25T12:00:00Z", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/user:ana/events?sice=", status: 400, code: 4002},
		{method: "GET", path: "/api/channels/user:ana/events?limit=1&limit=&limit=2", status: 400, code: 4002},
		{method: "POST", path: "/api/presence/status", body: `{"status":"asleep"}`, status: 422, code: 4003},
	} {
		name := fmt.Sprintf("%s %s %.60s", row.method, row.path, row.body)
		a := s.ask(row.method, row.path, row.body, row.headers)
		code, _ := a.Body["code"].(float64)
		reason, _ := a.Body["reason"].(string)
		message, _ := a.Body["message"].(string)
		_, retry := a.Body["retry"].(bool)
		if a.Status != row.status || int(code) != row.code || reason == "" || message == "" || !retry {
			t.Errorf("%s: %d %.200s, want %d and code %d with reason, retry and message", name, a.Status, a.Raw, row.status, row.code)
		}
		for _, inner := range []string{"schema ", "json:", "missing property 'members'", "goroutine", ".go:"} {
			if strings.Contains(message, inner) {
				t.Errorf("%s: %q speaks of our inside", name, message)
			}
		}
	}
}

// TestEmptyParametersAreNotGiven: each is answered as if it were left out.
func TestEmptyParametersAreNotGiven(t *testing.T) {
	t.Parallel()
	s := run(t, nil)
	for _, row := range []struct {
		path, given string
		empty       []string
	}{
		{"/api/channels/user:ana/events", "", []string{"since", "epoch", "at", "limit"}},
		{"/api/channels/user:ana/events", "since=0", []string{"epoch", "at", "limit", "since"}},
		{"/api/channels/app%3Ax/presence", "", []string{"count", "limit", "after"}},
		{"/api/channels/app%3Ax/presence", "count=true", []string{"limit", "after", "count"}},
		{"/api/users/ana/duty", "", []string{"from", "to"}},
		{"/api/users/ana/duty", "from=2026-01-01T00:00:00Z", []string{"to"}},
		{"/api/groups/none/online", "", []string{"at"}},
	} {
		want := s.ask("GET", row.path+"?"+row.given, "", nil)
		for _, name := range append(row.empty, strings.Join(row.empty, "=&")) {
			if got := s.ask("GET", row.path+"?"+row.given+"&"+name+"=", "", nil); got.Status != want.Status || !bytes.Equal(got.Raw, want.Raw) {
				t.Errorf("%s?%s with %s=: %d %s, want %d %s", row.path, row.given, name, got.Status, got.Raw, want.Status, want.Raw)
			}
		}
	}
}

// TestRefusalsNameWhatIsWrong: the field or parameter that nobody knows is in the
// sentence, and what was meant.
func TestRefusalsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := run(t, nil)
	for _, row := range []struct{ method, path, body, says string }{
		{"POST", "/api/channels/room:x/commands/open", `{"members":["luis"]}`, `members`},
		{"POST", "/api/channels/app:x/events", `{"event":"e","data":{},"to":"luis"}`, `"to"`},
		{"POST", "/api/channels/app:x/events", `{"data":{}}`, `event`},
		{"POST", "/api/channels/app:x/events", `{"event":"e"}`, `data`},
		{"DELETE", "/api/presence/status", `{"x":1}`, `"x"`},
		{"GET", "/api/channels/user:ana/events?epoch=e&since=", ``, `since`},
		{"GET", "/api/channels/user:ana/events?since=1&epoch=" + strings.Repeat("e", 65), ``, `epoch`},
		{"GET", "/api/channels/app:x/presence?limits=5", ``, `limits`},
		{"POST", "/api/channels/room:x/commands/remove", `{"data":{}}`, `remove`},
	} {
		if a := s.ask(row.method, row.path, row.body, nil); !strings.Contains(fmt.Sprint(a.Body["message"]), row.says) {
			t.Errorf("%s %s %s: %v does not name %s", row.method, row.path, row.body, a.Body["message"], row.says)
		}
	}
}

// TestBodiesOfCurl: curl -d says that it sends a form, whatever it sends.
func TestBodiesOfCurl(t *testing.T) {
	t.Parallel()
	s := run(t, nil)
	for _, row := range []struct{ path, body string }{
		{"/api/channels/app:x/events", `{"event":"e","data":{}}`},
		{"/api/channels/room:x/commands/open", `{"data":{"members":["luis"]}}`},
		{"/api/presence/status", `{"status":"busy"}`},
		{"/api/presence/status", `status=busy`},
	} {
		if a := s.ask("POST", row.path, row.body, formHeader); a.Status != http.StatusOK {
			t.Errorf("%s %s: %d %s", row.path, row.body, a.Status, a.Raw)
		}
	}
}

// TestOriginsHoldForTheAPI: pages of other origins are told no, and a browser is
// told what it may send.
func TestOriginsHoldForTheAPI(t *testing.T) {
	t.Parallel()
	s := run(t, allow("https://shop.example"))
	for _, path := range []string{"/api/channels/app:x/events", "/api/presence/status", "/api/users/ana/status", "/api/groups/g/online"} {
		asked := s.ask("OPTIONS", path, "", map[string]string{
			"Origin": "https://shop.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type",
		})
		if asked.Status != http.StatusNoContent || asked.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" ||
			!strings.Contains(asked.Header.Get("Access-Control-Allow-Headers"), "authorization") || asked.Header.Get("Access-Control-Max-Age") == "" {
			t.Errorf("preflight of %s: %d %v", path, asked.Status, asked.Header)
		}
		refused := s.ask("POST", path, `{"event":"e","data":{}}`, map[string]string{"Origin": "https://evil.example"})
		if refused.Status != http.StatusForbidden || fmt.Sprint(refused.Body["code"]) != "4032" {
			t.Errorf("%s of another origin: %d %s", path, refused.Status, refused.Raw)
		}
	}
}

// TestPagesReadRefusals: a page of an allowed origin reads why it is refused, at
// whatever point that happens; others read nothing.
func TestPagesReadRefusals(t *testing.T) {
	t.Parallel()
	const shop = "https://shop.example"
	s := run(t, allow(shop))
	for name, row := range map[string]struct {
		method, path, body string
		header             [2]string
		readable           string // by the allowed page
		status             int
	}{
		"nothing there":        {"GET", "/api/nothing", "", [2]string{}, shop, 404},
		"no token":             {"GET", "/api/users/ana/status", "", [2]string{"Authorization", "none"}, shop, 401},
		"another method":       {"PATCH", "/api/channels/app:x/events", "", [2]string{}, shop, 405},
		"no method":            {"FOO", "/api/nothing", "", [2]string{}, shop, 405},
		"too large a body":     {"POST", "/api/channels/app:x/events", strings.Repeat("x", 70<<10), [2]string{}, shop, 413},
		"too large headers":    {"GET", "/api/users/ana/status", "", [2]string{"X-Large", strings.Repeat("x", 17<<10)}, "*", 413},
		"an encoded body":      {"POST", "/api/presence/status", "x", [2]string{"Content-Encoding", "br"}, shop, 415},
		"an address in latin1": {"GET", "/api/users/Mu%F1oz/status", "", [2]string{}, shop, 400},
		"no handshake":         {"GET", "/ws", "", [2]string{}, shop, 426},
	} {
		for _, origin := range []string{shop, "https://evil.example"} {
			headers := map[string]string{"Origin": origin}
			if row.header[0] != "" {
				headers[row.header[0]] = row.header[1]
			}
			a := s.ask(row.method, row.path, row.body, headers)
			readable := a.Header.Get("Access-Control-Allow-Origin")
			if origin == shop && (readable != row.readable || a.Status != row.status) {
				t.Errorf("%s: %d %.200s, readable by %q, want %d and %q", name, a.Status, a.Raw, readable, row.status, row.readable)
			}
			if origin != shop && readable != "" && readable != "*" {
				t.Errorf("%s: readable by %q, who may not", name, readable)
			}
		}
	}
}
