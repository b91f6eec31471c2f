package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

var errDraining = schemas.Refuse(schemas.Draining, "this node stops: connect again")

// posted is the body of a publish or a command.
type posted struct {
	Event string          `json:"event"`
	Key   string          `json:"key"`
	Data  json.RawMessage `json:"data"`
}

func (b *Bridge) body(c *fiber.Ctx) (posted, error) {
	if b.draining.Load() {
		return posted{}, errDraining
	}
	p := posted{Data: json.RawMessage(`{}`)}
	if body := bytes.Clone(c.Body()); len(body) > 0 {
		if err := json.Unmarshal(body, &p); err != nil {
			return p, schemas.Refuse(schemas.InvalidJSON, "the body is one JSON object")
		}
	}
	if len(p.Key) > subjects.MaxKey {
		return p, schemas.Refuse(schemas.InvalidData, "key: at most %d bytes", subjects.MaxKey)
	}
	return p, nil
}

// postEvent publishes an event.
func (b *Bridge) postEvent(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	p, err := b.body(c)
	if err != nil {
		return err
	}
	name, kind, err := b.resolve(channel)
	if err != nil {
		return err
	}
	if command, owned := kind.Publish[p.Event]; owned {
		return b.answerCommand(c, by, wire.Call{Channel: channel, Command: command, Key: p.Key, Data: p.Data})
	}
	following := b.mayRead(c.UserContext(), by.identity, name, kind) == nil
	type outcome struct {
		Sequence uint64 `json:"seq,omitempty"`
		err      error
	}
	outcomes := make(chan outcome, 1)
	b.broadcast(by, following, name, kind, wire.Publish{Channel: channel, Event: p.Event, Key: p.Key, Data: p.Data},
		func(sequence uint64, err error) { outcomes <- outcome{sequence, err} })
	o := <-outcomes
	if o.err != nil {
		return o.err
	}
	return c.JSON(o)
}

// postCommand commands the owner of a channel.
func (b *Bridge) postCommand(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	p, err := b.body(c)
	if err != nil {
		return err
	}
	command := string([]byte(c.Params("command")))
	return b.answerCommand(c, by, wire.Call{Channel: channel, Command: command, Key: p.Key, Data: p.Data})
}

func (b *Bridge) answerCommand(c *fiber.Ctx, by sender, call wire.Call) error {
	result, err := b.command(c.UserContext(), by, call)
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Sequence uint64          `json:"seq,omitempty"`
		Data     json.RawMessage `json:"data,omitempty"`
	}{result.Sequence, result.Data})
}

// stored is one event of history.
type storedEvent struct {
	Event    string          `json:"event"`
	Sequence uint64          `json:"seq"`
	From     string          `json:"from,omitempty"`
	Key      string          `json:"key,omitempty"`
	At       time.Time       `json:"at"`
	Data     json.RawMessage `json:"data"`
}

// getEvents reads stored events: those behind the sequence since, or the last ones.
func (b *Bridge) getEvents(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	name, kind, err := b.resolve(channel)
	if err != nil {
		return err
	}
	limit, err := limitOf(c, historyDefault)
	if err != nil {
		return err
	}
	ctx, nc := c.UserContext(), b.hub.bus.Replay
	if err := b.mayRead(ctx, by.identity, name, kind); err != nil {
		return err
	}
	if kind.Durability != subjects.Durable {
		return schemas.Refuse(schemas.UnknownEvent, "events of this channel are not stored")
	}
	stream, err := history.Describe(ctx, nc, kind.Stream)
	if err != nil {
		return err
	}
	position := wire.Position{Epoch: stream.Epoch}
	since := c.Query("since")
	if since == "" || c.Query("epoch", stream.Epoch) != stream.Epoch {
		position.Sequence, err = history.Tail(ctx, nc, kind.Stream, name.Event(), uint64(limit))
	} else if position.Sequence, err = strconv.ParseUint(since, 10, 64); err != nil {
		err = schemas.Refuse(schemas.InvalidData, "since: a sequence")
	}
	if err != nil {
		return err
	}
	last, err := history.Last(ctx, nc, kind.Stream, name.Event())
	if err != nil {
		return err
	}
	events := []storedEvent{}
	_, err = history.Read(ctx, nc, kind.Stream, name.Event(), position.Sequence, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			if len(events) == limit {
				return errEnough
			}
			e := factEvent(name, fact)
			events = append(events, storedEvent{e.Event, e.Sequence, e.From, e.Key, e.At, e.Data})
			position.Sequence = e.Sequence
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return c.JSON(fiber.Map{"position": position, "events": events})
}
