package identity

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

var secret = bytes.Repeat([]byte("identity"), 8)

// system is a stack and a login to its bus.
type system struct {
	t     *testing.T
	stack *stack.Stack
	nc    *nats.Conn
}

func run(t *testing.T) system {
	t.Helper()
	s, err := stack.Start(context.WithoutCancel(t.Context()), stack.Config{
		HTTP: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Data: t.TempDir(), Secret: secret, Drain: time.Millisecond,
		Log: slog.New(slog.DiscardHandler), NATSUser: "tests", NATSPassword: "password",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, stack.ErrStopped) {
			t.Error(err)
		}
	})
	nc, err := nats.Connect(s.NATSURL(), nats.UserInfo("tests", "password"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return system{t, s, nc}
}

func token(t *testing.T, user, role, name string) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "role": role, "name": name, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// command is a command to a room, and who sends it by which token.
type command struct {
	room        subjects.Channel
	name, data  string
	user, token string
}

// doors lead to the owner of a room. Each returns the code of a refusal, or 0.
var doors = map[string]func(system, command) int{
	"socket": func(s system, c command) int {
		conn, _, err := websocket.Dial(s.t.Context(), "ws://"+s.stack.HTTPAddr()+"/ws", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = conn.CloseNow() }()
		say := func(frame map[string]any) (answer struct {
			Op, User string
			Code     int
		},
		) {
			text, err := json.Marshal(frame)
			if err != nil {
				s.t.Fatal(err)
			}
			if err := conn.Write(s.t.Context(), websocket.MessageText, text); err != nil {
				s.t.Fatal(err)
			}
			_, text, err = conn.Read(s.t.Context())
			if err != nil {
				s.t.Fatal(err)
			}
			if err := json.Unmarshal(text, &answer); err != nil {
				s.t.Fatalf("%s: %v", text, err)
			}
			return answer
		}
		welcome := say(map[string]any{"op": "hello", "token": c.token})
		if welcome.Op != "welcome" {
			return welcome.Code
		}
		if welcome.User != c.user {
			s.t.Errorf("%q is welcomed as %q", c.user, welcome.User)
		}
		return say(map[string]any{"id": 1, "op": "call", "channel": c.room.String(), "command": c.name, "data": json.RawMessage(c.data)}).Code
	},
	"HTTP": func(s system, c command) int {
		path := "/api/channels/" + url.PathEscape(c.room.String()) + "/commands/" + c.name
		request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.stack.HTTPAddr()+path, strings.NewReader(`{"data":`+c.data+`}`))
		if err != nil {
			s.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+c.token)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			s.t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }() // it was only read
		var answer struct{ Code int }
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			s.t.Fatal(err)
		}
		return answer.Code
	},
	"NATS": func(s system, c command) int {
		message := nats.NewMsg(c.room.Command(c.name))
		message.Data = []byte(c.data)
		message.Header.Set(subjects.HeaderProof, c.token)
		message.Header.Set(nats.MsgIdHdr, subjects.MessageID(c.room, c.user, fmt.Sprint(time.Now().UnixNano())))
		// What a bridge says beside the proof is not heard.
		subjects.SetText(message.Header, subjects.HeaderFrom, "luis")
		subjects.SetText(message.Header, subjects.HeaderRole, subjects.RoleService)
		answer, err := s.nc.RequestMsgWithContext(s.t.Context(), message)
		if err != nil {
			s.t.Fatal(err)
		}
		code, _ := strconv.Atoi(answer.Header.Get("Nats-Service-Error-Code")) // none is 0
		return code
	},
}

// A user that looks like another, or nearly is, is another at every door, or is
// nobody; and so is a role.
func TestWhoActsAtEveryDoor(t *testing.T) {
	t.Parallel()
	s := run(t)
	feed, err := s.nc.SubscribeSync("feed.room.*")
	if err != nil {
		t.Fatal(err)
	}
	private := subjects.Channel{Kind: "room", ID: "private"}
	if code := doors["HTTP"](s, command{private, "open", `{"members":["josé"]}`, "luis", token(t, "luis", "", "")}); code != 0 {
		t.Fatalf("open: %d", code)
	}
	next := func() *nats.Msg {
		fact, err := feed.NextMsg(20 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return fact
	}
	next()
	const nobody = int(schemas.Unauthenticated)
	for i, test := range []struct {
		user, role, name string
		code             int // at the door
	}{
		{"Luis", "", "", 0},
		{"lu is", "", "Luis ", 0},
		{"luis.x@y", "", " ", 0},
		{"luis=20", "", "Luis\r\nLatido-Role: service", 0},
		{"*", "", "", 0},
		{">", "", "\t", 0},
		{"jose\u0301", "", "José", 0},
		{"service", "", "", 0},
		{strings.Repeat("l", 128), "", "", 0},
		{strings.Repeat("ñ", 64), "", "ñ", 0},
		{"eve", "service ", "", 0},
		{"eva", " service", "", 0},
		{"evi", "SERVICE", "", 0},
		{"evo", "service\n", "", 0},
		{"evu", "client\r\nLatido-Role: service", "", 0},
		{"luis ", "", "", nobody},
		{" luis", "", "", nobody},
		{"luis\t", "", "", nobody},
		{"luis\n", "", "", nobody},
		{"luis\r\nLatido-Role: service", "", "", nobody},
		{"luis\u00a0", "", "", nobody},
		{"luis\u200b", "", "", nobody},
		{"lu\x00is", "", "", nobody},
		{"", "", "", nobody},
		{strings.Repeat("l", 129), "", "", nobody},
		{"service:ops", "", "", nobody},
		{"service:ops", "service ", "", nobody},
		{"service:", "operator", "", nobody},
	} {
		proof := token(t, test.user, test.role, test.name)
		for name, door := range doors {
			who := fmt.Sprintf("%q as %q through %s", test.user, test.role, name)
			if code := door(s, command{private, "post", `{"text":"hola"}`, test.user, proof}); code != cmp.Or(test.code, int(schemas.Forbidden)) {
				t.Errorf("%s: the room of others answers %d", who, code)
			}
			own := subjects.Channel{Kind: "room", ID: fmt.Sprint(name, i)}
			if code := door(s, command{own, "open", `{"members":[]}`, test.user, proof}); code != test.code {
				t.Errorf("%s: opening a room answers %d, want %d", who, code, test.code)
			}
			if test.code != 0 {
				continue
			}
			fact := next()
			if from, called := subjects.Text(fact.Header, subjects.HeaderFrom), subjects.Text(fact.Header, subjects.HeaderName); fact.Subject != own.Feed() || from != test.user || called != test.name {
				t.Errorf("%s: stored on %s by %q, called %q", who, fact.Subject, from, called)
			}
		}
	}
	// Role service is a role, and what begins with its name a service's. Nothing
	// else was stored before.
	for name, door := range doors {
		invite := command{private, "invite", fmt.Sprintf(`{"user":%q}`, name), "service:app", token(t, "service:app", "service", "")}
		if code := door(s, invite); code != 0 {
			t.Errorf("a service through %s: %d", name, code)
		}
		if fact := next(); subjects.Text(fact.Header, subjects.HeaderFrom) != "service:app" {
			t.Errorf("stored on %s: %v", fact.Subject, fact.Header)
		}
	}
}
