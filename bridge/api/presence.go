package api

import (
	"encoding/json"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/identity"
)

// What is asked of the presence service over HTTP. Who may ask what is decided
// there.

// getOnline lists who of a group is there, or was at a time.
func (s *Server) getOnline(c *fiber.Ctx) error { return s.ask(c, session.KindGroup, "who", "at") }

// getStatus tells how a user is.
func (s *Server) getStatus(c *fiber.Ctx) error { return s.ask(c, session.KindUser, "status") }

// getDuty tells how long a user was there.
func (s *Server) getDuty(c *fiber.Ctx) error { return s.ask(c, session.KindUser, "duty", "from", "to") }

// ask sends a query to the owner of the channel that the path names, with what the
// query string says under the given names, and answers its data.
func (s *Server) ask(c *fiber.Ctx, kind, query string, names ...string) error {
	id, _ := c.Locals(localIdentity).(identity.Identity)
	of, err := url.PathUnescape(c.Params(kind))
	if err != nil {
		return schemas.Refuse(schemas.UnknownKind, "an id is percent-encoded")
	}
	if err := knows(c, names...); err != nil {
		return err
	}
	asked := make(map[string]string)
	for _, name := range names {
		if value := c.Query(name); value != "" {
			asked[name] = value
		}
	}
	data, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	channel := kind + ":" + string([]byte(of)) // Fiber uses its strings again
	answer, err := s.node.Command(c.UserContext(), session.Sender{Identity: id}, wire.Call{Channel: channel, Command: query, Data: data})
	if err != nil {
		return err
	}
	return s.answer(c, answer.Data)
}
