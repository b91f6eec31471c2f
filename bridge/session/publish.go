package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology"
)

// Sender is on whose behalf something is sent to the bus.
type Sender struct {
	identity.Identity
	ref string // of the session, or "" for the HTTP API
}

// sign says in a message which session it comes from, if it comes from one.
func (by Sender) sign(msg *nats.Msg) {
	if by.ref != "" {
		subjects.SetText(msg.Header, subjects.HeaderSession, by.ref)
	}
}

// publish sends an event to a channel. On a channel with an owner it is a command
// to it, unless the event is a live one.
func (s *session) publish(r wire.Publish) {
	name, kind, err := s.node.Resolve(r.Channel)
	if err != nil {
		s.refuse(r.Ref, err)
		return
	}
	if command, owned := kind.Publish[r.Event]; owned {
		s.enqueue(r.Ref, r.Channel, func(ctx context.Context) error {
			return s.call(ctx, wire.Call{Ref: r.Ref, Channel: r.Channel, Command: command, Key: r.Key, Data: r.Data})
		})
		return
	}
	following := s.outlet.Follows(r.Channel) != nil
	id, err := s.whoOn(name)
	if err != nil {
		s.refuse(r.Ref, err)
		return
	}
	by := Sender{id, s.ref}
	s.node.Broadcast(by, following, name, kind, r, func(sequence uint64, err error) {
		if err != nil {
			s.refuse(r.Ref, err)
			return
		}
		if r.Event == eventTyping {
			s.typed(by, name, kind, r)
		}
		s.tell(wire.OK{Ref: r.Ref, Sequence: sequence})
	})
}

// Broadcast sends what no service decides: a live event, or an event of an app
// kind. done is called once, with the sequence if the event was stored; it must
// not block.
func (n *Node) Broadcast(by Sender, following bool, name subjects.Channel, kind subjects.Kind, r wire.Publish, done func(uint64, error)) {
	if !isLive(kind, r.Event) {
		done(0, schemas.Refuse(schemas.UnknownEvent, "clients do not publish %q here", r.Event))
		return
	}
	if err := n.mayBroadcast(by.Identity, name, kind, following); err != nil {
		done(0, err)
		return
	}
	if err := checkEvent(kind, r); err != nil {
		done(0, err)
		return
	}
	stored := kind.Owner == "" && kind.Durability == subjects.Durable
	if stored && r.Key == "" {
		r.Key = rand.Text()
	}
	told := wire.Event{Channel: r.Channel, Event: r.Event, From: by.User, Key: r.Key, Data: r.Data}
	if err := hub.CheckTellable(told, n.Limits.Frame); err != nil {
		done(0, err)
		return
	}
	if !stored {
		msg := eventMessage(name.Live(), by, name, r)
		if err := n.Hub.Bus.Publish.PublishMsg(msg); err != nil {
			done(0, schemas.Refuse(schemas.Unavailable, "the bus is away"))
			return
		}
		done(0, nil)
		return
	}
	msg := eventMessage(name.Event(), by, name, r)
	n.requester.send(msg, func(reply *nats.Msg, err error) {
		switch {
		case errors.Is(err, ErrUnanswered):
			n.Hub.Start(func(ctx context.Context) {
				if history.Mute(ctx, n.Hub.Bus.Publish, kind.Stream) {
					err = errFull
				}
				done(0, err)
			})
			return
		case err != nil:
			done(0, err)
			return
		}
		n.acknowledge(kind, msg, reply, done)
	})
}

func isLive(kind subjects.Kind, event string) bool {
	return len(event) <= schemas.MaxEvent && (slices.Contains(kind.Live, event) || slices.Contains(kind.Live, "*"))
}

// checkEvent applies the event's schema, where there is one.
func checkEvent(kind subjects.Kind, r wire.Publish) error {
	if kind.Owner == "" {
		return nil // any JSON
	}
	schema, err := schemas.Event(kind.Name, r.Event)
	if err != nil {
		return err
	}
	return schema.Validate(r.Data)
}

func eventMessage(subject string, by Sender, name subjects.Channel, r wire.Publish) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = r.Data
	subjects.SetText(msg.Header, subjects.HeaderEvent, r.Event)
	subjects.SetText(msg.Header, subjects.HeaderFrom, by.User)
	by.sign(msg)
	if r.Key != "" {
		msg.Header.Set(nats.MsgIdHdr, subjects.MessageID(name, by.User, r.Key))
	}
	return msg
}

// acknowledge reads JetStream's acknowledgement. A repeated message is answered as the
// first time, but a key that was used for something else is refused.
func (n *Node) acknowledge(kind subjects.Kind, msg, reply *nats.Msg, done func(uint64, error)) {
	ack, err := acknowledged(reply)
	sequence := ack.Sequence
	switch {
	case err != nil:
		done(0, fmt.Errorf("store %s: %w", msg.Subject, err))
	case !ack.Duplicate:
		done(sequence, nil)
	default:
		n.Hub.Start(func(ctx context.Context) {
			first, found, err := history.Message(ctx, n.Hub.Bus.Publish, kind.Stream, sequence)
			switch {
			case err != nil:
				done(0, err)
			case found && !sameEvent(first, msg):
				done(0, schemas.Refuse(schemas.KeyReused, "the key belongs to an earlier, different event"))
			default:
				done(sequence, nil)
			}
		})
	}
}

// acknowledged reads what JetStream answers to what it is to store.
func acknowledged(reply *nats.Msg) (jetstream.PubAck, error) {
	var answer struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(reply.Data, &answer); {
	case err != nil:
		return jetstream.PubAck{}, err
	case answer.Error != nil && topology.IsFull(answer.Error):
		return jetstream.PubAck{}, errFull
	case answer.Error != nil:
		return jetstream.PubAck{}, answer.Error
	case answer.Sequence == 0:
		return jetstream.PubAck{}, fmt.Errorf("answered %s", reply.Data)
	}
	return answer.PubAck, nil
}

func sameEvent(first history.Fact, msg *nats.Msg) bool {
	return bytes.Equal(first.Data, msg.Data) && subjects.Text(first.Header, subjects.HeaderEvent) == subjects.Text(msg.Header, subjects.HeaderEvent)
}

// call commands the owner of a channel.
func (s *session) call(ctx context.Context, r wire.Call) error {
	id, err := s.whoIn(r.Channel)
	if err != nil {
		return err
	}
	result, err := s.node.Command(ctx, Sender{id, s.ref}, r)
	if err != nil {
		return err
	}
	s.tell(wire.OK{Ref: r.Ref, Sequence: result.Sequence, Data: result.Data})
	return nil
}

// result is what the owner of a channel answers to a command it carried out.
type result struct {
	Sequence uint64          `json:"seq"`
	Data     json.RawMessage `json:"data"`
}

// Command asks the owner of a channel and waits for its answer. Who may do what
// is the owner's to decide, and who asks it reads from the token.
func (n *Node) Command(ctx context.Context, by Sender, r wire.Call) (result, error) {
	name, kind, err := n.Resolve(r.Channel)
	if err != nil {
		return result{}, err
	}
	if kind.Owner == "" || !isName(r.Command) {
		return result{}, schemas.Refuse(schemas.UnknownCommand, "no command %q here", r.Command)
	}
	if _, err := schemas.Command(kind.Name, r.Command); err != nil {
		return result{}, err // otherwise nobody would answer, which looks like an absent service
	}
	if by.Anonymous() {
		return result{}, schemas.Refuse(schemas.Forbidden, "only who has signed in may command")
	}
	if r.Key == "" {
		r.Key = rand.Text()
	}
	msg := nats.NewMsg(name.Command(r.Command))
	msg.Data = r.Data
	msg.Header.Set(nats.MsgIdHdr, subjects.MessageID(name, by.User, r.Key))
	msg.Header.Set(subjects.HeaderProof, by.Token())
	by.sign(msg)
	reply, err := n.requester.request(ctx, msg)
	if err != nil {
		return result{}, err
	}
	if refusal, refused := refusalOf(reply); refused {
		if refusal.Code == schemas.Unauthenticated {
			return result{}, fmt.Errorf("%w: the service %s takes none that this bridge took: %s", errMisfit, kind.Owner, refusal.Message)
		}
		return result{}, refusal
	}
	answered, err := schemas.CanonicalBody(reply.Data)
	if err != nil {
		return result{}, fmt.Errorf("answer to %s: %s", r.Command, err.Error()) // no refusal of ours
	}
	var answer result
	if err := json.Unmarshal(answered, &answer); err != nil {
		return result{}, fmt.Errorf("answer to %s: %w", r.Command, err)
	}
	return answer, nil
}

// errMisfit is no fault of the client's: the token was good a moment ago.
var errMisfit = errors.New("tokens: bridges and services need the same --jwt-secret, --jwks-url, --jwt-audience and --jwt-issuer, and in dev mode the same --data")

// Headers by which a micro service says no.
const (
	headerErrorCode = "Nats-Service-Error-Code"
	headerError     = "Nats-Service-Error"
)

func refusalOf(reply *nats.Msg) (schemas.Refusal, bool) {
	code, err := strconv.Atoi(reply.Header.Get(headerErrorCode))
	if err != nil {
		return schemas.Refusal{}, false
	}
	var body struct {
		Message string `json:"message"`
		Field   string `json:"field"`
	}
	_ = json.Unmarshal(reply.Data, &body) // the sentence is optional
	return schemas.Refusal{Code: schemas.Code(code), Message: body.Message, Field: body.Field}, true
}

// isName says whether s can be the last token of a command's subject.
func isName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= schemas.MaxEvent
}
