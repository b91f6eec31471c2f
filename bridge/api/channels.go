package api

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
)

// postEvent publishes an event.
func (s *Server) postEvent(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	if err := knows(c); err != nil {
		return err
	}
	r, err := native.DecodePublish(channel, c.Body())
	if err != nil {
		return err
	}
	name, kind, err := s.node.Resolve(channel)
	if err != nil {
		return err
	}
	if command, owned := kind.Publish[r.Event]; owned {
		return s.answerCommand(c, by, wire.Call{Channel: channel, Command: command, Key: r.Key, Data: r.Data})
	}
	_, err = s.node.MayRead(c.UserContext(), by.Identity, name, kind)
	following := err == nil
	type outcome struct {
		Sequence uint64 `json:"seq,omitempty"`
		err      error
	}
	outcomes := make(chan outcome, 1)
	s.node.Broadcast(by, following, name, kind, r, func(sequence uint64, err error) { outcomes <- outcome{sequence, err} })
	o := <-outcomes
	if o.err != nil {
		return o.err
	}
	return c.JSON(o)
}

// postCommand commands the owner of a channel.
func (s *Server) postCommand(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	if err := knows(c); err != nil {
		return err
	}
	r, err := native.DecodeCall(channel, string([]byte(c.Params("command"))), c.Body())
	if err != nil {
		return err
	}
	return s.answerCommand(c, by, r)
}

func (s *Server) answerCommand(c *fiber.Ctx, by session.Sender, call wire.Call) error {
	result, err := s.node.Command(c.UserContext(), by, call)
	if err != nil {
		return err
	}
	return s.answer(c, struct {
		Sequence uint64          `json:"seq,omitempty"`
		Data     json.RawMessage `json:"data,omitempty"`
	}{result.Sequence, result.Data})
}
