package es

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

// answer is what a command is answered with.
type answer struct {
	Seq  uint64          `json:"seq"`
	Data json.RawMessage `json:"data,omitempty"` // of a query
}

// endpoint takes one command, on every channel of a kind, from users or from
// services.
type endpoint struct {
	*bus
	pool     *pool
	name     string
	command  string
	services bool // takes it from services, not from users
	serve    func(context.Context, request) (answer, error)
	unread   *unread // of its kind

	accepted, refused, failed, busy atomic.Int64

	refusals sync.Map // *atomic.Int64 by schemas.Code
}

// counts are shown by "nats micro stats": what micro counts and times itself
// ends when a command is handed to the pool.
func (e *endpoint) counts() map[string]int64 {
	counts := map[string]int64{
		"accepted": e.accepted.Load(), "refused": e.refused.Load(),
		"failed": e.failed.Load(), "busy": e.busy.Load(),
		"unreadable_facts": e.unread.count.Load(),
	}
	e.refusals.Range(func(code, count any) bool {
		counts["refused_"+code.(schemas.Code).Reason()] = count.(*atomic.Int64).Load()
		return true
	})
	return counts
}

// Handle gives the command to a worker: those of a channel run in order. It
// never blocks, because micro calls it from the subscription.
func (e *endpoint) Handle(message micro.Request) {
	now := time.Now().UTC()
	channel, service, err := e.address(message.Subject())
	if err != nil {
		e.answer(message.Reply(), answer{}, schemas.Refuse(schemas.UnknownKind, "the subject names no channel"))
		return
	}
	taken := e.pool.submit(channel.String(), func() {
		var given answer
		err := recoverPanic(func() error {
			r, err := e.read(channel, service, message, now)
			if err == nil {
				// What was taken is finished even while the service stops;
				// persist bounds how long that takes.
				given, err = e.serve(context.Background(), r)
			}
			return err
		})
		e.answer(message.Reply(), given, err)
	})
	if !taken {
		e.busy.Add(1)
		e.answer(message.Reply(), answer{}, schemas.Refuse(schemas.Busy, "too many commands are waiting"))
	}
}

// read takes nothing for true but what the sender has shown.
func (e *endpoint) read(channel subjects.Channel, service string, message micro.Request, now time.Time) (request, error) {
	header := nats.Header(message.Headers())
	by, err := e.sender(service, header)
	if err != nil {
		return request{}, err
	}
	id := header.Get(jetstream.MsgIDHeader)
	of, user, key, err := subjects.ParseMessageID(id)
	if err != nil || of != channel || user != by.User {
		return request{}, schemas.Refuse(schemas.InvalidFrame, "a command carries a message id of its channel and sender")
	}
	if err := schemas.CheckKey(key); err != nil {
		return request{}, schemas.Refuse(schemas.InvalidFrame, "%v", err)
	}
	body, err := schemas.Canonical("data", message.Data(), schemas.MaxFrame)
	if err != nil {
		return request{}, err
	}
	schema, err := schemas.Command(channel.Kind, e.command)
	if err != nil {
		return request{}, err
	}
	if err := schema.Validate(body); err != nil {
		return request{}, err
	}
	meta := Meta{Channel: channel, From: by.User, Role: by.Role, Name: by.Name, Key: key, Now: now}
	return request{
		Command: Command{Meta: meta}, name: e.command, body: body,
		id: id, digest: digest(e.command, body), header: header,
	}, nil
}

// answer replies once: with what was given, the refusal, or "internal" for an
// error, which is logged here and nowhere else. It does not go through micro,
// whose counts would race with a reply from another goroutine.
func (e *endpoint) answer(reply string, given answer, err error) {
	message := &nats.Msg{Subject: reply}
	if err == nil {
		message.Data, err = json.Marshal(given)
	}
	_, refused := errors.AsType[schemas.Refusal](err)
	switch {
	case err == nil:
		e.accepted.Add(1)
	case refused:
		e.refused.Add(1)
		count, _ := e.refusals.LoadOrStore(schemas.RefusalOf(err).Code, new(atomic.Int64))
		count.(*atomic.Int64).Add(1)
		refuse(message, schemas.RefusalOf(err))
	default:
		e.failed.Add(1)
		e.log.Error("command", "command", e.command, "cause", err)
		refuse(message, schemas.RefusalOf(err))
	}
	if reply == "" {
		return
	}
	if err := e.nc.PublishMsg(message); err != nil {
		e.log.Warn("reply", "command", e.command, "cause", err)
	}
}
