package identity

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// tokenOf has all its claims, also the empty ones.
func tokenOf(s *kit.Stage, user, role, name string) string {
	return s.Secret.Sign(map[string]any{"sub": user, "role": role, "name": name}, time.Hour)
}

// command is a command to a room, and who sends it by which token.
type command struct {
	room        subjects.Channel
	name, data  string
	user, token string
}

// doors lead to the owner of a room. Each returns the code of a refusal, or 0.
var doors = map[string]func(*kit.Stage, command) int{
	"socket": func(s *kit.Stage, c command) int {
		client := kit.Dial(s.T, s.Address())
		defer client.CloseNow()
		client.Send(kit.Frame{"op": "hello", "token": c.token})
		welcome := client.Next()
		if welcome["op"] != "welcome" {
			return int(welcome.Code())
		}
		if welcome["user"] != c.user {
			s.T.Errorf("%q is welcomed as %q", c.user, welcome["user"])
		}
		client.Send(kit.Frame{"id": 1, "op": "call", "channel": c.room.String(), "command": c.name, "data": json.RawMessage(c.data)})
		return int(client.Next().Code())
	},
	"HTTP": func(s *kit.Stage, c command) int {
		answer, err := kit.Ask(s.Ctx, s.Address(), kit.Request{
			Method: http.MethodPost, Path: "/api/channels/" + url.PathEscape(c.room.String()) + "/commands/" + c.name,
			Token: c.token, Body: `{"data":` + c.data + `}`, Header: map[string]string{"Content-Type": "application/json"},
		})
		s.Must(err)
		if answer.Body == nil {
			s.T.Fatalf("%d: %s", answer.Status, answer.Raw)
		}
		return int(answer.Body.Code())
	},
	"NATS": func(s *kit.Stage, c command) int {
		message := nats.NewMsg(c.room.Command(c.name))
		message.Data = []byte(c.data)
		message.Header.Set(subjects.HeaderProof, c.token)
		message.Header.Set(nats.MsgIdHdr, subjects.MessageID(c.room, c.user, fmt.Sprint(time.Now().UnixNano())))
		// What a bridge says beside the proof is not heard.
		subjects.SetText(message.Header, subjects.HeaderFrom, "luis")
		subjects.SetText(message.Header, subjects.HeaderRole, subjects.RoleService)
		answer, err := s.NATS.RequestMsgWithContext(s.Ctx, message)
		s.Must(err)
		code, _ := strconv.Atoi(answer.Header.Get("Nats-Service-Error-Code")) // none is 0
		return code
	},
}

// A user that looks like another, or nearly is, is another at every door, or is
// nobody; and so is a role.
func TestWhoActsAtEveryDoor(t *testing.T) {
	t.Parallel()
	s := kit.NewStage(t, kit.Config{})
	s.Start(stack.Config{})
	feed, err := s.NATS.SubscribeSync("feed.room.*")
	if err != nil {
		t.Fatal(err)
	}
	s.Must(s.NATS.Flush()) // the first fact is told on another connection
	private := subjects.Channel{Kind: "room", ID: "private"}
	if code := doors["HTTP"](s, command{private, "open", `{"members":["josé"]}`, "luis", tokenOf(s, "luis", "", "")}); code != 0 {
		t.Fatalf("open: %d", code)
	}
	next := func() *nats.Msg {
		fact, err := feed.NextMsg(kit.Patience)
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
		proof := tokenOf(s, test.user, test.role, test.name)
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
		invite := command{private, "invite", fmt.Sprintf(`{"user":%q}`, name), "service:app", tokenOf(s, "service:app", "service", "")}
		if code := door(s, invite); code != 0 {
			t.Errorf("a service through %s: %d", name, code)
		}
		if fact := next(); subjects.Text(fact.Header, subjects.HeaderFrom) != "service:app" {
			t.Errorf("stored on %s: %v", fact.Subject, fact.Header)
		}
	}
}
