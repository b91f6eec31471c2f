package bridge

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects/topology/bustest"
)

// from asks over HTTP from an address behind a proxy, with a bearer's token unless
// it is "", and returns the answer's status and when to come back.
func from(t *testing.T, b *Bridge, address, bearer, method, path, body string) (status int, retryAfter string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.Addr()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", address)
	r.Header.Set("Origin", "https://shop.example")
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if refused := response.StatusCode == http.StatusTooManyRequests; refused && strings.HasPrefix(path, "/api/") && response.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("%s %s: the page may not read that it is refused", method, path)
	}
	return response.StatusCode, closed(t, response).Header.Get("Retry-After")
}

func closed(t *testing.T, response *http.Response) *http.Response {
	t.Helper()
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response
}

// dialFrom connects from an address behind a proxy.
func dialFrom(t *testing.T, b *Bridge, address string) *client {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws://"+b.Addr()+"/ws", &websocket.DialOptions{
		Subprotocols: []string{"latido.v1"}, HTTPHeader: http.Header{"X-Forwarded-For": {address}},
	})
	if err != nil {
		t.Fatal(err, response)
	}
	conn.SetReadLimit(1 << 22)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t: t, conn: conn}
}

func (c *client) hello(b *Bridge, user string) {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"op":"hello","token":%q}`, token(c.t, b, user, "")))
	c.welcome = c.expect("welcome")
}

// exhaust has accounts owe so much that they are refused for as long as a test lasts.
func exhaust(t *testing.T, b *Bridge, payer admission.Payer) {
	t.Helper()
	if err := b.node.Door.Take(&payer, admission.Cost{Publishes: 1 << 20, Work: 1 << 20}); err != nil {
		t.Fatal(err)
	}
}

// Every kind of request passes the doorman: who has asked for too much is refused
// and stays connected, and nobody else is.
func TestEveryRequestOfASocketIsLimited(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Work: 1}})
	loud, quiet := dial(t, b, "ana"), dial(t, b, "ana")
	exhaust(t, b, admission.Payer{Session: b.node.Account(loud.ref())})
	for _, request := range []string{
		`"op":"publish","channel":"app:1","event":"x","data":{}`,
		`"op":"publish","channel":"nokind:1","event":"x","data":{}`,
		`"op":"call","channel":"room:none","command":"join","data":{}`,
		`"op":"subscribe","channel":"app:1"`,
		`"op":"subscribe","channel":"room:none"`,
		`"op":"subscribe","channel":"nokind:1"`,
		`"op":"subscribe","channel":"global:system","last":1`,
		`"op":"subscribe","channel":"global:system","last":"1h"`,
		`"op":"subscribe","channel":"global:system","since":{"epoch":"x","seq":1}`,
		`"op":"unsubscribe","channel":"app:1"`,
		`"op":"track","channel":"app:1","meta":{}`,
		`"op":"untrack","channel":"app:1"`,
		`"op":"count","channel":"app:1"`,
		`"op":"watch","users":["ana","luis"]`,
		`"op":"token","token":"nonsense"`,
	} {
		if answer := loud.ask("%s", request); answer["code"] != 4505.0 || answer["retry"] != true {
			t.Errorf("%s: %v", request, answer)
		}
	}
	quiet.must(`"op":"subscribe","channel":"app:1"`)
	quiet.must(`"op":"publish","channel":"app:1","event":"x","data":{}`)
}

func TestEveryRequestOverHTTPIsLimited(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{UserWork: 1}})
	exhaust(t, b, admission.Payer{User: b.node.Door.User("ana")})
	exhaust(t, b, admission.Payer{Address: b.node.Door.Address(netip.MustParseAddr("192.0.2.1"))})
	ana, eva := token(t, b, "ana", ""), token(t, b, "eva", "")
	const channel = "/api/channels/app%3A1"
	for _, request := range []struct {
		method, path, body string
		alone              bool // answers although no service runs
	}{
		{http.MethodPost, channel + "/events", `{"event":"x","data":{}}`, true},
		{http.MethodPost, "/api/channels/room%3Anone/commands/join", `{}`, false},
		{http.MethodPost, "/api/presence/status", `{"status":"busy"}`, false},
		{http.MethodDelete, "/api/presence/status", ``, false},
		{http.MethodGet, "/api/channels/global%3Asystem/events", ``, true},
		{http.MethodGet, channel + "/presence", ``, true},
		{http.MethodGet, channel + "/presence?count=true", ``, true},
		{http.MethodGet, "/api/users/ana/duty", ``, false},
		{http.MethodGet, "/api/users/ana/status", ``, false},
		{http.MethodGet, "/api/groups/1/online", ``, false},
	} {
		if status, after := from(t, b, "192.0.2.7", ana, request.method, request.path, request.body); status != http.StatusTooManyRequests || after == "" {
			t.Errorf("%s %s of a user: %d, come back after %q", request.method, request.path, status, after)
		}
		if status, after := from(t, b, "192.0.2.1", eva, request.method, request.path, request.body); status != http.StatusTooManyRequests || after == "" {
			t.Errorf("%s %s of an address: %d, come back after %q", request.method, request.path, status, after)
		}
		if !request.alone {
			continue
		}
		if status, _ := from(t, b, "192.0.2.7", eva, request.method, request.path, request.body); status != http.StatusOK {
			t.Errorf("%s %s of another user at another address: %d", request.method, request.path, status)
		}
	}
	for _, path := range []string{"/", "/sdk/latido.js", "/metrics", channel + "/presence", "/api/nothing"} {
		if status, after := from(t, b, "192.0.2.1", "", http.MethodGet, path, ""); status != http.StatusTooManyRequests || after == "" {
			t.Errorf("%s to an address: %d, come back after %q", path, status, after)
		}
	}
	if status, _ := from(t, b, "192.0.2.1", "", http.MethodGet, "/readyz", ""); status != http.StatusOK {
		t.Errorf("whoever asks whether the node is ready gets %d", status)
	}
	dialed := dialFrom(t, b, "192.0.2.1")
	if code := dialed.closed(); code != 4505 {
		t.Errorf("a socket of the address was closed with %d", code)
	}
	// A token that is no good costs its address something, too.
	for range 60 * 1000 {
		if status, _ := from(t, b, "192.0.2.9", "nonsense", http.MethodGet, channel+"/presence", ""); status == http.StatusTooManyRequests {
			return
		}
		b.node.Door.Charge(&admission.Payer{Address: b.node.Door.Address(netip.MustParseAddr("192.0.2.9"))}, 1000)
	}
	t.Error("whoever guesses tokens is never refused")
}

// A flood ends the session it comes from, and nobody else hears of it.
func TestAFloodIsClosed(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Publishes: 5}})
	quiet := dial(t, b, "eva")
	quiet.must(`"op":"subscribe","channel":"app:1"`)
	for name, frame := range map[string]string{
		"refused publishes": `{"id":1,"op":"publish","channel":"app:2","event":"x","data":{}}`,
		"no JSON":           `nonsense`,
		"pongs":             `{"op":"pong"}`,
		"touches":           `{"op":"activity"}`,
	} {
		loud := dial(t, b, "loud")
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for loud.conn.Write(t.Context(), websocket.MessageText, []byte(frame)) == nil {
			}
		}()
		if code := loud.closed(); code != 4505 {
			t.Errorf("%s: closed with %d", name, code)
		}
		_ = loud.conn.CloseNow()
		<-sent
		quiet.must(`"op":"publish","channel":"app:1","event":"x","data":{}`)
	}
}

// A page that opens hundreds of channels at once is an ordinary one.
func TestManyChannelsAtOnce(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dial(t, b, "ana")
	for i := range 500 {
		c.send(fmt.Sprintf(`{"id":%d,"op":"subscribe","channel":"app:%d","presence":true,"last":50}`, i+1, i))
	}
	for range 500 {
		c.find("an answer", func(m message) bool {
			if m.op() == "error" {
				t.Fatal(m)
			}
			return m.op() == "ok"
		})
	}
}

// Who connects and says nothing is told to go once there are too many of them,
// and those who are known do not count.
func TestStrangersAreBounded(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Limits: session.Limits{Pending: 6, AddressPending: 3}})
	dialFrom(t, b, "192.0.2.1").hello(b, "ana")
	var silent []*client
	for range 3 {
		silent = append(silent, dialFrom(t, b, "192.0.2.1"))
		wait(t, "it to be counted", func() bool { return b.node.SessionCount() == 1+len(silent) })
	}
	if code := dialFrom(t, b, "192.0.2.1").closed(); code != 4511 {
		t.Errorf("one too many of an address: %d", code)
	}
	wait(t, "it to have gone", func() bool { return b.node.SessionCount() == 1+len(silent) })
	dialFrom(t, b, "192.0.2.2").hello(b, "eva")
	silent[0].hello(b, "ana")
	dialFrom(t, b, "192.0.2.1").hello(b, "ana")
	for i := range 4 {
		dialFrom(t, b, fmt.Sprintf("198.51.100.%d", i))
	}
	wait(t, "those who were told to have gone", func() bool { return b.node.SessionCount() == 10 })
	if code := dialFrom(t, b, "203.0.113.1").closed(); code != 4511 {
		t.Errorf("one too many in all: %d", code)
	}
}

// A first frame that is larger than any hello is not waited for.
func TestAStrangersFrameIsSmall(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{})
	c := dialFrom(t, b, "192.0.2.1")
	c.send(`{"op":"hello","token":"` + strings.Repeat("x", 16<<10) + `"}`)
	if code := c.closed(); code != 4130 {
		t.Errorf("closed with %d", code)
	}
	known := dial(t, b, "ana")
	known.must(`"op":"publish","channel":"app:1","event":"x","data":%q`, strings.Repeat("x", 60_000))
}

func TestMetricsAreNotForEverybody(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	const here, elsewhere = "127.0.0.1", "192.0.2.1"
	for _, test := range []struct {
		config  Config
		bearer  string
		address string
		want    int
	}{
		{Config{}, "", here, http.StatusOK},
		{Config{}, "", elsewhere, http.StatusUnauthorized},
		{Config{MetricsToken: "secret"}, "", here, http.StatusUnauthorized},
		{Config{MetricsToken: "secret"}, "guess", elsewhere, http.StatusUnauthorized},
		{Config{MetricsToken: "secret"}, "secret", elsewhere, http.StatusOK},
		{Config{MetricsElsewhere: true}, "", here, http.StatusNotFound},
	} {
		b, stop := runBridge(t, bus, test.config)
		if status, _ := from(t, b, test.address, test.bearer, http.MethodGet, "/metrics", ""); status != test.want {
			t.Errorf("%+v from %s with %q: %d, want %d", test.config, test.address, test.bearer, status, test.want)
		}
		stop()
	}
}
