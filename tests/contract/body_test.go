package contract

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// refusal is a refusal as a caller reads it.
type refusal struct {
	Code    schemas.Code `json:"code"`
	Message string       `json:"message"`
	Field   string       `json:"field"`
}

// TestBodiesAreObjects: a body that is no object is refused at every door, with a
// sentence that says which part is wrong.
func TestBodiesAreObjects(t *testing.T) {
	t.Parallel()
	s := run(t, generous)
	c := s.hello(t)
	socket := func(channel subjects.Channel, command, data string) (no refusal) {
		c.next++
		frame := fmt.Sprintf(`{"id":%d,"op":"call","channel":%q,"command":%q,"data":%s}`, c.next, channel, command, data)
		told, err := json.Marshal(c.outcome([]byte(frame)))
		if err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(told, &no) // an answer has none of it
		return no
	}
	http := func(channel subjects.Channel, command, data string) (no refusal) {
		path := "/api/channels/" + channel.String() + "/commands/" + command
		_ = json.Unmarshal(s.ask("POST", path, `{"data":`+data+`}`, nil).Raw, &no)
		return no
	}
	bus := func(channel subjects.Channel, command, data string) (no refusal) {
		message := nats.NewMsg(channel.Command(command))
		message.Data = []byte(data)
		message.Header.Set(subjects.HeaderProof, s.token("ana", "operator"))
		message.Header.Set(nats.MsgIdHdr, subjects.MessageID(channel, "ana", command+data))
		reply, err := s.NATS.RequestMsgWithContext(s.Ctx, message)
		if err != nil {
			t.Fatal(err)
		}
		code, _ := strconv.Atoi(reply.Header.Get("Nats-Service-Error-Code"))
		_ = json.Unmarshal(reply.Data, &no)
		no.Code = schemas.Code(code)
		return no
	}
	doors := map[string]func(subjects.Channel, string, string) refusal{"socket": socket, "HTTP": http, "NATS": bus}
	for kind := range subjects.Catalog {
		channel := subjects.Channel{Kind: kind, ID: "ana"}
		for _, command := range schemas.Commands(kind) {
			for _, data := range []string{`null`, `[]`, `[{}]`, `"x"`, `7`, `true`} {
				for door, send := range doors {
					no := send(channel, command, data)
					if no.Code != schemas.InvalidData || !strings.Contains(no.Message, "data") && no.Field != "data" {
						t.Errorf("%s, %s of %s with %s: %+v", door, command, channel, data, no)
					}
				}
			}
		}
	}
}
