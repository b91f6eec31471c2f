package bridge

import (
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
	Encoding string          `json:"encoding,omitempty"`
	Data     json.RawMessage `json:"data"`
}

// gap are the facts from one sequence to another, which cannot be given.
type gap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
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
	events, gaps := []storedEvent{}, []gap(nil)
	_, err = history.Read(ctx, nc, kind.Stream, name.Event(), position.Sequence, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			if len(events) == limit {
				return errEnough
			}
			switch told := b.hub.factEntry(name, channel, fact).notice.(type) {
			case wire.Event:
				events = append(events, storedEvent{told.Event, told.Sequence, told.From, told.Key, told.At, told.Encoding, told.Data})
			case wire.Gap:
				gaps = append(gaps, gap{told.From, told.To})
			}
			position.Sequence = fact.Sequence
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return c.JSON(struct {
		Position wire.Position `json:"position"`
		Events   []storedEvent `json:"events"`
		Gaps     []gap         `json:"gaps,omitempty"`
	}{position, events, gaps})
}
