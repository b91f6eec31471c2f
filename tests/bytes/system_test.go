package bytes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge"
	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// The channels: events that nobody stores, events that are stored, and a room,
// whose messages a service decides.
var (
	live   = subjects.Channel{Kind: "app", ID: "any"}
	stored = subjects.Channel{Kind: "log", ID: "any"}
	room   = subjects.Channel{Kind: "room", ID: "any"}
)

const sender = "ana"

// system is a whole Latido, and the doors to it.
type system struct {
	t      *testing.T
	origin string
	token  string
	nc     *nats.Conn
	js     jetstream.JetStream
	socket *socket
}

func start(t *testing.T) *system {
	t.Helper()
	kind, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{kind}})
	secret := bytes.Repeat([]byte("bytes"), 8)
	running, err := stack.Start(context.WithoutCancel(t.Context()), stack.Config{
		HTTP: "127.0.0.1:0", NATSURL: bus.URL(), Kinds: []string{"log:durable"}, Secret: secret, Drain: time.Millisecond,
		Limits: bridge.Limits{Publishes: 1 << 20, UserPublishes: 1 << 20}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil && !errors.Is(err, stack.ErrStopped) {
			t.Error(err)
		}
	})
	claims := jwt.MapClaims{"sub": sender, "exp": time.Now().Add(time.Hour).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, origin: "http://" + running.HTTPAddr(), token: token, nc: bus.Connect(t)}
	if s.js, err = jetstream.New(s.nc); err != nil {
		t.Fatal(err)
	}
	s.socket = s.dial()
	if code := s.overHTTP("/api/channels/"+url.PathEscape(room.String())+"/commands/open", `{"data":{"members":[]}}`); code != 0 {
		t.Fatalf("open the room: %d", code)
	}
	return s
}

// socket is a connection that asks one thing after another.
type socket struct {
	conn *websocket.Conn
	last int
}

func (s *system) dial() *socket {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.origin+"/ws", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadLimit(1 << 22)
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	if err := conn.Write(s.t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"op":"hello","token":%q}`, s.token)); err != nil {
		s.t.Fatal(err)
	}
	return &socket{conn: conn}
}

// notInUTF8 is how a socket refuses what no text frame may hold.
const notInUTF8 = int(websocket.StatusInvalidFramePayloadData)

// bySocket sends a request without its id and returns the code of its refusal, 0
// for none. Where the answer names no request, the frame was none.
func (s *system) bySocket(body string) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	s.socket.last++
	frame := fmt.Sprintf(`{"id":%d,%s}`, s.socket.last, body)
	if err := s.socket.conn.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		s.t.Fatal(err)
	}
	for {
		_, text, err := s.socket.conn.Read(ctx)
		if closed := int(websocket.CloseStatus(err)); closed == notInUTF8 {
			s.socket = s.dial()
			return closed
		}
		if err != nil {
			s.t.Fatalf("%q: %v", frame, err)
		}
		var answer struct {
			Op   string
			ID   int
			Code int
		}
		if err := json.Unmarshal(text, &answer); err != nil {
			s.t.Fatalf("%q: %v", text, err)
		}
		if answer.Code == int(schemas.FrameTooLarge) {
			s.socket = s.dial() // which the server closes
			return answer.Code
		}
		if answer.Op == "error" || answer.ID == s.socket.last {
			return answer.Code
		}
	}
}

// overHTTP posts a body and returns the code of its refusal, 0 for none.
func (s *system) overHTTP(path, body string) int {
	s.t.Helper()
	var answer struct{ Code int }
	s.ask(http.MethodPost, path, body, &answer)
	return answer.Code
}

func (s *system) ask(method, path, body string, answer any) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.origin+path, bytes.NewReader([]byte(body)))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(answer); err != nil {
		s.t.Fatalf("%s: %s: %v", path, text, err)
	}
}

// onBus writes an event as a backend does, whom nobody judges, and returns its
// sequence where it is stored.
func (s *system) onBus(channel subjects.Channel, key, data string) uint64 {
	s.t.Helper()
	msg := nats.NewMsg(channel.Live())
	msg.Data = []byte(data)
	subjects.SetText(msg.Header, subjects.HeaderEvent, "said")
	msg.Header.Set(nats.MsgIdHdr, subjects.MessageID(channel, sender, key))
	if channel == live {
		if err := s.nc.PublishMsg(msg); err != nil {
			s.t.Fatal(err)
		}
		return 0
	}
	msg.Subject = channel.Event()
	ack, err := s.js.PublishMsg(s.t.Context(), msg)
	if err != nil {
		s.t.Fatal(err)
	}
	return ack.Sequence
}

// command commands the room's owner as a bridge does, and returns the code of its
// refusal, 0 for none.
func (s *system) command(key, data string) int {
	s.t.Helper()
	msg := nats.NewMsg(room.Command("post"))
	msg.Data = []byte(data)
	msg.Header.Set(subjects.HeaderProof, s.token)
	msg.Header.Set(nats.MsgIdHdr, subjects.MessageID(room, sender, key))
	subjects.SetText(msg.Header, subjects.HeaderFrom, sender)
	reply, err := s.nc.RequestMsg(msg, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	var code int
	_, _ = fmt.Sscan(reply.Header.Get("Nats-Service-Error-Code"), &code) // there is none when it was taken
	return code
}

// patience bounds waits for what must happen, so that a failing test ends.
const patience = 20 * time.Second

// mayRefuse are the codes by which a door refuses bytes.
var mayRefuse = []int{
	int(schemas.InvalidJSON), int(schemas.InvalidFrame), int(schemas.InvalidData), int(schemas.TooLarge), int(schemas.FrameTooLarge), notInUTF8,
}
