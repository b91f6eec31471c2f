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
	return s.send(c, by, r)
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
	return s.send(c, by, r)
}

// send does what is asked and answers what came of it.
func (s *Server) send(c *fiber.Ctx, by session.Sender, request wire.Request) error {
	ok, err := s.node.Ask(c.UserContext(), by, request)
	if err != nil {
		return err
	}
	return s.answer(c, struct {
		Sequence uint64          `json:"seq,omitempty"`
		Data     json.RawMessage `json:"data,omitempty"`
	}{ok.Sequence, ok.Data})
}
