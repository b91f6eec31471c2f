package bytes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge"
	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
	schema "github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/kit"
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
	*kit.Stage

	token  string
	socket *kit.RawClient // asks one thing after another
	last   int            // id of a request on it
}

func start(t *testing.T) *system {
	t.Helper()
	kind, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	s := &system{Stage: kit.NewStage(t, kit.Config{Bus: bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{kind}})})}
	s.Start(stack.Config{Kinds: []string{"log:durable"}, Limits: bridge.Limits{Publishes: 1 << 20, UserPublishes: 1 << 20}})
	s.token = s.Secret.Token(kit.Identity{User: sender})
	s.socket = s.dial()
	if code := s.overHTTP("/api/channels/"+url.PathEscape(room.String())+"/commands/open", `{"data":{"members":[]}}`); code != 0 {
		t.Fatalf("open the room: %d", code)
	}
	return s
}

func (s *system) dial() *kit.RawClient {
	s.T.Helper()
	return kit.Welcomed(s.T, s.Address(), schema.Hello{Token: s.token})
}

// notInUTF8 is how a socket refuses what no text frame may hold.
const notInUTF8 = int(kit.InvalidPayload)

// bySocket sends a request without its id and returns the code of its refusal, 0
// for none. Where the answer names no request, the frame was none.
func (s *system) bySocket(body string) int {
	s.T.Helper()
	s.last++
	frame := fmt.Sprintf(`{"id":%d,%s}`, s.last, body)
	s.socket.Send(frame)
	for {
		answer := s.socket.Next()
		code := int(answer.Code())
		switch {
		case answer["op"] == kit.Closed && code == notInUTF8, answer.Code() == schemas.FrameTooLarge: // which the server closes
			s.socket = s.dial()
			return code
		case answer["op"] == kit.Closed:
			s.T.Fatalf("%q: %v", frame, answer)
		case answer["op"] == "error" || answer["id"] == float64(s.last):
			return code
		}
	}
}

// overHTTP posts a body and returns the code of its refusal, 0 for none.
func (s *system) overHTTP(path, body string) int {
	s.T.Helper()
	var answer struct{ Code int }
	s.ask(http.MethodPost, path, body, &answer)
	return answer.Code
}

func (s *system) ask(method, path, body string, answer any) {
	s.T.Helper()
	told, err := kit.Ask(s.Ctx, s.Address(), kit.Request{Method: method, Path: path, Token: s.token, Body: body})
	s.Must(err)
	decoder := json.NewDecoder(bytes.NewReader(told.Raw))
	decoder.UseNumber()
	if err := decoder.Decode(answer); err != nil {
		s.T.Fatalf("%s: %s: %v", path, told.Raw, err)
	}
}

// onBus writes an event as a backend does, whom nobody judges, and returns its
// sequence where it is stored.
func (s *system) onBus(channel subjects.Channel, key, data string) uint64 {
	s.T.Helper()
	msg := nats.NewMsg(channel.Live())
	msg.Data = []byte(data)
	subjects.SetText(msg.Header, subjects.HeaderEvent, "said")
	msg.Header.Set(nats.MsgIdHdr, subjects.MessageID(channel, sender, key))
	if channel == live {
		s.Must(s.NATS.PublishMsg(msg))
		return 0
	}
	msg.Subject = channel.Event()
	ack, err := s.JetStream().PublishMsg(s.Ctx, msg)
	s.Must(err)
	return ack.Sequence
}

// command commands the room's owner as a bridge does, and returns the code of its
// refusal, 0 for none.
func (s *system) command(key, data string) int {
	s.T.Helper()
	msg := nats.NewMsg(room.Command("post"))
	msg.Data = []byte(data)
	msg.Header.Set(subjects.HeaderProof, s.token)
	msg.Header.Set(nats.MsgIdHdr, subjects.MessageID(room, sender, key))
	subjects.SetText(msg.Header, subjects.HeaderFrom, sender)
	reply, err := s.NATS.RequestMsg(msg, kit.Patience)
	s.Must(err)
	var code int
	_, _ = fmt.Sscan(reply.Header.Get("Nats-Service-Error-Code"), &code) // there is none when it was taken
	return code
}

// mayRefuse are the codes by which a door refuses bytes.
var mayRefuse = []int{
	int(schemas.InvalidJSON), int(schemas.InvalidFrame), int(schemas.InvalidData), int(schemas.TooLarge), int(schemas.FrameTooLarge), notInUTF8,
}
