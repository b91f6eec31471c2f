package bridge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latido/latido/bridge/api"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology/bustest"
)

// lines is a protocol that differs from the native one wherever protocols do: who is
// there stands in the address, the server speaks first, a message holds several
// requests without references, what is told is bytes, and of a state one message each;
// a session that ends never says so by our codes.
type lines struct{}

// lineCodec remembers what its session joined last: a publish names no channel.
type lineCodec struct{ channel string }

// deltas is the same protocol, which tells of presence not who is there but what has
// changed: of a user their first session and the last one, and of each content.
type deltas struct{ lines }

func init() {
	api.Mount("/lines", lines{}, lines{})
	api.Mount("/deltas", lines{}, deltas{})
}

func (lines) Subprotocols() []string { return nil }

func (lines) Open(o wire.Opening) (wire.Codec, wire.Request, error) {
	if o.Query("anonymous") != "" {
		return &lineCodec{}, wire.Hello{Token: o.Query("token"), Resume: o.Query("secret"), Device: "web", Anonymous: true}, nil
	}
	token := o.Query("token")
	if token == "" {
		return nil, nil, &wire.AnswerError{Status: http.StatusForbidden, ContentType: "text/x-lines", Body: []byte("NO " + o.Header("X-Asks") + " AT " + o.Path)}
	}
	return &lineCodec{}, wire.Hello{Token: token}, nil
}

func (c *lineCodec) Decode(message []byte, _ bool) (wire.Request, error) {
	var batch wire.Batch
	for line := range strings.Lines(string(message)) {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "JOIN":
			c.channel = rest
			batch = append(batch, wire.Subscribe{Ref: "j" + rest, Channel: rest, Presence: true})
		case "HUSH":
			c.channel = rest
			batch = append(batch, wire.Subscribe{Ref: "j" + rest, Channel: rest, NoEcho: true})
		case "SIGNED": // until when, and then what may be done on which channel
			within, may, _ := strings.Cut(rest, " ")
			may, c.channel, _ = strings.Cut(may, " ")
			lasts, err := time.ParseDuration(within)
			if err != nil {
				return nil, &wire.MalformedError{Code: int(schemas.InvalidFrame), Text: err.Error()}
			}
			batch = append(batch, wire.Subscribe{Ref: "j" + c.channel, Channel: c.channel, Proof: &wire.Proof{
				Read: strings.Contains(may, "r"), Write: strings.Contains(may, "w"), Presence: strings.Contains(may, "p"), Expires: time.Now().Add(lasts),
			}})
		case "AS": // by which token, and where
			token, channel, _ := strings.Cut(rest, " ")
			c.channel = channel
			batch = append(batch, wire.Subscribe{Ref: "j" + channel, Channel: channel, Token: token})
		case "AT":
			c.channel = rest
		case "LEAVE":
			batch = append(batch, wire.Unsubscribe{Ref: "l", Channel: c.channel})
		case "PAST":
			var count int
			var age string
			if n, err := fmt.Sscan(rest, &c.channel, &count, &age); n != 3 {
				return nil, &wire.MalformedError{Code: int(schemas.InvalidFrame), Text: err.Error()}
			}
			within, _ := time.ParseDuration(age)
			batch = append(batch, wire.Subscribe{Ref: "j" + c.channel, Channel: c.channel, Count: count, Age: within, Anew: true})
		case "HERE":
			key, meta, _ := strings.Cut(rest, " ")
			batch = append(batch, wire.Track{Ref: "h", Channel: c.channel, Key: key, Meta: json.RawMessage(meta)})
		case "GONE":
			batch = append(batch, wire.Untrack{Ref: "g", Channel: c.channel})
		case "DO":
			batch = append(batch, wire.Call{Ref: "d", Channel: c.channel, Command: rest, Data: []byte("{}")})
		case "SAY":
			batch = append(batch, wire.Publish{Ref: "s", Channel: c.channel, Event: "said", Data: fmt.Appendf(nil, "%q", rest)})
		default:
			return nil, &wire.MalformedError{Code: int(schemas.UnknownOp), Text: "what is " + verb}
		}
	}
	return batch, nil
}

func (c *lineCodec) Encode(scratch []byte, notice wire.Notice, emit func([]byte, bool)) {
	switch n := notice.(type) {
	case wire.OK:
		switch channel, joined := strings.CutPrefix(n.Ref, "j"); {
		case joined:
			emit(fmt.Appendf(scratch, "JOINED %s", channel), false)
		case n.Ref == "d":
			emit(fmt.Appendf(scratch, "DONE %s", n.Data), false)
		}
	default:
		lines{}.Encode(scratch, notice, emit)
	}
}

func (lines) Encode(scratch []byte, notice wire.Notice, emit func([]byte, bool)) {
	switch n := notice.(type) {
	case wire.Welcome:
		emit(fmt.Appendf(scratch, "YOU ARE %s", n.User), false)
	case wire.Event:
		emit(fmt.Appendf(scratch, "%s %s", n.From, n.Data), true)
	case wire.Error:
		emit(fmt.Appendf(scratch, "NO %s", n.Message), false)
	case wire.Unsubscribed:
		emit(fmt.Appendf(scratch, "END %s %s", n.Channel, n.Reason), false)
	case wire.State:
		for _, m := range n.Members {
			emit(fmt.Appendf(scratch, "+%s", m.User), false)
		}
	case wire.Diff:
		for _, m := range n.Joins {
			emit(fmt.Appendf(scratch, "+%s", m.User), false)
		}
	}
}

func (deltas) Encode(scratch []byte, notice wire.Notice, emit func([]byte, bool)) {
	diff, changes := notice.(wire.Diff)
	if !changes {
		lines{}.Encode(scratch, notice, emit)
		return
	}
	told := fmt.Appendf(scratch, "users +%v -%v keys +%v -%v", diff.Users.Came, diff.Users.Went, diff.Keys.Came, diff.Keys.Went)
	for i, m := range diff.Updates {
		told = fmt.Appendf(told, " %s(%s): %s after %s", m.Key, m.Role, m.Digest(), diff.Was[i].Digest())
	}
	for _, m := range diff.Joins {
		told = fmt.Appendf(told, " in %s(%s): %s", m.Key, m.Role, m.Digest())
	}
	for _, m := range diff.Leaves {
		told = fmt.Appendf(told, " out %s(%s): %s", m.Key, m.Role, m.Digest())
	}
	emit(told, false)
}

func (*lineCodec) Close(int, string) (int, string) { return 3000, "go" }

// lineClient speaks lines.
type lineClient struct {
	t    *testing.T
	conn *websocket.Conn
}

func (c lineClient) expect(want string, kind websocket.MessageType) {
	c.t.Helper()
	got, message, err := c.conn.Read(c.t.Context())
	if err != nil || string(message) != want || got != kind {
		c.t.Fatalf("got %q (%v), %v; want %q (%v)", message, got, err, want, kind)
	}
}

func (c lineClient) read() string {
	c.t.Helper()
	_, message, err := c.conn.Read(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return string(message)
}

func (c lineClient) send(kind websocket.MessageType, message string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), kind, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
}

func dialLines(t *testing.T, b *Bridge, query string, compress websocket.CompressionMode) (lineClient, *http.Response, error) {
	t.Helper()
	return dialAt(t, b, "/lines"+query, compress)
}

func dialAt(t *testing.T, b *Bridge, path string, compress websocket.CompressionMode) (lineClient, *http.Response, error) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), "ws://"+b.Addr()+path, &websocket.DialOptions{
		HTTPHeader: http.Header{"X-Asks": {"ana"}}, CompressionMode: compress, CompressionThreshold: 1,
	})
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return lineClient{t, conn}, response, err
}

// Another protocol is one package and one line, and its sessions and those of the
// native one meet on the same channels.
func TestAnotherDialect(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Compress: true})
	for name, mode := range map[string]websocket.CompressionMode{"plain": websocket.CompressionDisabled, "deflated": websocket.CompressionNoContextTakeover} {
		channel := "app:" + name
		native := dial(t, b, "luis")
		native.must(`"op":"subscribe","channel":%q`, channel)
		native.must(`"op":"track","channel":%q`, channel)
		c, _, err := dialLines(t, b, "?token="+token(t, b, "ana", ""), mode)
		if err != nil {
			t.Fatal(err)
		}
		const text, bytes = websocket.MessageText, websocket.MessageBinary
		c.expect("YOU ARE ana", text)
		c.send(bytes, "JOIN "+channel+"\n")
		c.expect("JOINED "+channel, text)
		c.expect("+luis", text)
		c.send(text, "HERE\nSAY one\nSAY two")
		said := map[string]bool{}
		for range 3 { // presence is told a moment later
			_, message, err := c.conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			said[string(message)] = true
		}
		if !said["+ana"] || !said[`ana "one"`] || !said[`ana "two"`] {
			t.Errorf("%s: told %v", name, said)
		}
		if event := native.expect("event"); event["event"] != "said" || event["from"] != "ana" || event["data"] != "one" {
			t.Errorf("%s: the native session was told %v", name, event)
		}
		native.must(`"op":"publish","channel":%q,"event":"x","data":[1]`, channel)
		c.expect("luis [1]", bytes)
		c.send(text, "FLY")
		c.expect("NO what is FLY", text)
		if !b.node.Disconnect(native.ref(), schemas.Refuse(schemas.Draining, "go")) || native.closed() != int(schemas.Draining) {
			t.Error("the native session does not end by its code")
		}
	}
}

func TestADialectRefusesInItsOwnWay(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	_, response, err := dialLines(t, b, "", websocket.CompressionDisabled)
	if err == nil || response.StatusCode != http.StatusForbidden || response.Header.Get("Content-Type") != "text/x-lines" {
		t.Errorf("%+v, %v", response, err)
	}
	c, _, err := dialLines(t, b, "?token=nonsense", websocket.CompressionDisabled)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, _, err = c.conn.Read(t.Context())
	}
	if code := websocket.CloseStatus(err); code != 3000 {
		t.Errorf("closed with %d", code)
	}
}
