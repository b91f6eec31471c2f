package chat

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// unreadable are bodies of facts that no service could have written.
var unreadable = []string{
	"\x00", "", "nothing", "null", `{"text":7}`, `[]`, `"open"`, "7", `{"user":"eve","user":"bob"}`, "{\"user\":\"\xff\"}",
	strings.Repeat("[", 70) + strings.Repeat("]", 70), `{"user":"eve","more":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `}`,
}

// What a backend has stored and nobody can read changes nothing, in the memory of a
// replica as in one that reads the room from its beginning: no error is logged.
func TestUnreadableFactsAreSkipped(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	estest.Replica(t, bus, Run)
	caller := estest.NewCaller(t, bus)
	caller.Do(opening("bob"))
	skipped := int64(0)
	for _, name := range []string{"room_opened", "new_message", "member_joined", "room_closed"} {
		for _, body := range unreadable {
			if name != "new_message" && body == `{"text":7}` {
				continue // these have no text
			}
			store(t, caller, name, body)
			skipped++
		}
	}
	caller.Do(call("ana", "post", "p1", chat.Post{Text: "on"}))
	awaitUnread(t, caller, skipped)

	estest.Replica(t, bus, Run)
	for _, key := range []string{"p2", "p3", "p4", "p5"} {
		caller.Do(call("bob", "post", key, chat.Post{Text: "and on"}))
	}
	caller.Do(call("ana", "invite", "i", chat.Invite{User: "cleo"}))
	caller.Do(call("cleo", "post", "p6", chat.Post{Text: "me too"}))
	caller.AwaitRole(channel, "cleo", "member")
	if role := caller.Role(channel, "eve"); role != "" {
		t.Errorf("eve is %s", role)
	}
}

func store(t *testing.T, caller estest.Caller, name, body string) {
	t.Helper()
	message := &nats.Msg{Subject: channel.Event(), Data: []byte(body), Header: nats.Header{}}
	subjects.SetText(message.Header, subjects.HeaderEvent, name)
	if _, err := caller.JS.PublishMsg(t.Context(), message); err != nil {
		t.Fatal(err)
	}
}

// awaitUnread returns when the service shows that many facts as unreadable. It fails
// when there are more: each counts once, whoever met it.
func awaitUnread(t *testing.T, caller estest.Caller, want int64) {
	t.Helper()
	for {
		reply, err := caller.Conn.RequestWithContext(t.Context(), "$SRV.STATS.chat", nil)
		if err != nil {
			t.Fatal(err)
		}
		var stats micro.Stats
		if err := json.Unmarshal(reply.Data, &stats); err != nil {
			t.Fatal(err)
		}
		var counts struct {
			Unreadable int64 `json:"unreadable_facts"`
		}
		if err := json.Unmarshal(stats.Endpoints[0].Data, &counts); err != nil {
			t.Fatal(err)
		}
		if counts.Unreadable > want {
			t.Fatalf("%d facts are unreadable, want %d", counts.Unreadable, want)
		}
		if counts.Unreadable == want {
			return
		}
	}
}
