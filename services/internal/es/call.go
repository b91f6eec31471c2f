package es

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// Call is a command to the owner of a channel, whichever service that is.
type Call struct {
	Channel subjects.Channel
	Command string
	From    string // "service:<name>", which sends it; or a user, whose token is Proof
	Proof   string
	Key     string // the same key is answered as the first time
	Body    any
}

// Do sends the command and returns the sequence it was answered with. A no of
// the owner is a [schemas.Refusal].
func (c Call) Do(ctx context.Context, nc *nats.Conn) (uint64, error) {
	given, err := c.send(ctx, nc)
	return given.Seq, err
}

// Ask sends a query and returns what it was answered with.
func (c Call) Ask(ctx context.Context, nc *nats.Conn) (json.RawMessage, error) {
	given, err := c.send(ctx, nc)
	return given.Data, err
}

func (c Call) send(ctx context.Context, nc *nats.Conn) (given answer, err error) {
	body, err := json.Marshal(c.Body)
	if err != nil {
		return given, fmt.Errorf("call %s: %w", c.Command, err)
	}
	header := nats.Header{jetstream.MsgIDHeader: {subjects.MessageID(c.Channel, c.From, c.Key)}}
	subject := c.Channel.ServiceCommand(strings.TrimPrefix(c.From, schemas.ServicePrefix), c.Command)
	if c.Proof != "" {
		subject = c.Channel.Command(c.Command)
		header.Set(subjects.HeaderProof, c.Proof)
	}
	reply, err := nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Data: body, Header: header})
	if err != nil {
		return given, fmt.Errorf("call %s on %s: %w", c.Command, c.Channel, err)
	}
	if code := reply.Header.Get(micro.ErrorCodeHeader); code != "" {
		return given, refusal(code, reply.Data)
	}
	if err := json.Unmarshal(reply.Data, &given); err != nil {
		return given, fmt.Errorf("call %s on %s: read answer: %w", c.Command, c.Channel, err)
	}
	return given, nil
}

// explanation is the body of a refused command's answer.
type explanation struct {
	Message string `json:"message,omitempty"`
	Field   string `json:"field,omitempty"`
}

// refuse writes a refusal the way micro's clients expect an error.
func refuse(message *nats.Msg, refusal schemas.Refusal) {
	message.Header = nats.Header{
		micro.ErrorCodeHeader: {strconv.Itoa(int(refusal.Code))},
		micro.ErrorHeader:     {refusal.Code.Reason()},
	}
	if refusal.Message != "" {
		message.Data, _ = json.Marshal(explanation{refusal.Message, refusal.Field}) // strings always encode
	}
}

// refusal is the inverse of refuse.
func refusal(code string, body []byte) error {
	number, err := strconv.Atoi(code)
	if err != nil {
		return fmt.Errorf("error code %q: %w", code, err)
	}
	var why explanation
	_ = json.Unmarshal(body, &why) // the explanation is optional
	return schemas.Refusal{Code: schemas.Code(number), Message: why.Message, Field: why.Field}
}
