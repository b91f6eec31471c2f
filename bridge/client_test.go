package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology/bustest"
)

// testSecret signs the tokens of tests.
var testSecret = []byte("what the tokens of tests are signed with")

// patience is how long a test waits for what must come: longer than machines stall,
// and than a node takes to look at all streams by itself.
const patience = time.Minute

// The server ends connections that idle: a request on one that is just ending would
// fail.
func init() { http.DefaultTransport.(*http.Transport).DisableKeepAlives = true }

// runBridge runs a bridge on the bus until the test, or the returned stop, ends it.
func runBridge(t *testing.T, bus *bustest.Bus, config Config) (b *Bridge, stop func()) {
	t.Helper()
	return runBridgeAt(t, bus.URL(), config)
}

// runBridgeAt is runBridge on the bus at an address.
func runBridgeAt(t *testing.T, url string, config Config) (b *Bridge, stop func()) {
	t.Helper()
	b, err := newBridgeAt(url, config)
	if err != nil {
		t.Fatal(err)
	}
	return b, run(t, b)
}

// newBridgeAt is a bridge on the bus at an address, which does not run yet.
func newBridgeAt(url string, config Config) (*Bridge, error) {
	config.Listen, config.Drain = "127.0.0.1:0", cmp.Or(config.Drain, time.Millisecond)
	config.Limits.Ping = cmp.Or(config.Limits.Ping, time.Hour) // clients of tests read when they must
	config.Log = cmp.Or(config.Log, slog.New(slog.DiscardHandler))
	config.Verifier = identity.New(identity.Config{Secret: testSecret})
	config.Connect = func(string) (*nats.Conn, error) {
		return nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	}
	return New(config)
}

// run runs a bridge until the test, or the returned stop, ends it.
func run(t *testing.T, b *Bridge) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("bridge: %v", err)
		}
	}
	t.Cleanup(stop)
	wait(t, "the bridge to be ready", b.ready.Load)
	return stop
}

// wait waits for a condition that nothing announces.
func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	look, patience := time.NewTicker(time.Millisecond), time.After(patience)
	defer look.Stop()
	for !condition() {
		select {
		case <-look.C:
		case <-patience:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// The bucket of memberships as a stream has it, and the user who stands for all.
const (
	keysOfMembers = "$KV." + subjects.BucketMembers + "."
	anybody       = ""
)

type message map[string]any

func (m message) op() string { op, _ := m["op"].(string); return op }

func (m message) seq() uint64 { seq, _ := m["seq"].(float64); return uint64(seq) }

// client is a browser of the test.
type client struct {
	t       *testing.T
	conn    *websocket.Conn
	welcome message
	queue   []message // read while something else was looked for
	id      int
}

func token(t *testing.T, b *Bridge, user, role string) string {
	t.Helper()
	token, err := b.node.Verifier.Sign(user, user, role, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// dial is a client that was welcomed; hello is the secret of the session that it
// goes on with, and further fields of its hello.
func dial(t *testing.T, b *Bridge, user string, hello ...string) *client {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+b.Addr()+"/ws", &websocket.DialOptions{Subprotocols: []string{"latido.v1"}})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 22)
	c := &client{t: t, conn: conn}
	t.Cleanup(func() { _ = conn.CloseNow() })
	resume, more := "", ""
	if len(hello) > 0 {
		resume, more = hello[0], strings.Join(hello[1:], "")
	}
	c.send(fmt.Sprintf(`{"op":"hello","token":%q,"session":%q%s}`, token(t, b, user, ""), resume, more))
	c.welcome = c.expect("welcome")
	return c
}

func (c *client) send(frame string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

// ask sends a request and returns its answer.
func (c *client) ask(format string, args ...any) message {
	c.t.Helper()
	c.id++
	id := c.id
	c.send(fmt.Sprintf(`{"id":%d,%s}`, id, fmt.Sprintf(format, args...)))
	return c.find(fmt.Sprintf("the answer to %d", id), func(m message) bool { return m["id"] == float64(id) })
}

func (c *client) must(format string, args ...any) message {
	c.t.Helper()
	answer := c.ask(format, args...)
	if answer.op() != "ok" {
		c.t.Fatalf("%s: %v", fmt.Sprintf(format, args...), answer)
	}
	return answer
}

func (c *client) expect(op string) message {
	c.t.Helper()
	return c.find(op, func(m message) bool { return m.op() == op })
}

// find returns the first message that fits, and keeps those before it for later.
func (c *client) find(what string, fits func(message) bool) message {
	c.t.Helper()
	for i, m := range c.queue {
		if fits(m) {
			c.queue = append(c.queue[:i:i], c.queue[i+1:]...)
			return m
		}
	}
	for {
		m, err := c.read()
		if err != nil {
			c.t.Fatalf("waited for %s: %v; have %v", what, err, c.queue)
		}
		if fits(m) {
			return m
		}
		c.queue = append(c.queue, m)
	}
}

func (c *client) read() (message, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, data, err := c.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	var m message
	return m, json.Unmarshal(data, &m)
}

// events reads n events of a channel and returns their sequences.
func (c *client) events(channel string, n int) []uint64 {
	c.t.Helper()
	sequences := make([]uint64, n)
	for i := range sequences {
		event := c.find(fmt.Sprintf("event %d of %s", i, channel), func(m message) bool { return m.op() == "event" && m["channel"] == channel })
		sequences[i] = event.seq()
	}
	return sequences
}

// closed returns the code with which the server closed.
func (c *client) closed() int {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			return int(websocket.CloseStatus(err))
		}
	}
}

// get asks the HTTP API and decodes the answer.
func get(t *testing.T, b *Bridge, user, path string, answer any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.Addr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token(t, b, user, ""))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, response.Status, err)
	}
}
