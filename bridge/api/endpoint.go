package api

import (
	"errors"
	"net/url"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
)

// endpoints mounts what dialects answer themselves.
func (s *Server) endpoints(app *fiber.App) {
	for _, d := range mounts {
		spoken, speaks := d.Dialect.(wire.Endpointer)
		if !speaks {
			continue
		}
		for _, e := range spoken.Endpoints() {
			if s.config.Dev {
				app.Add(e.Method, e.Path, thisMachine)
			}
			app.Options(e.Path, s.crossOrigin)
			app.Add(e.Method, e.Path, s.crossOrigin, s.verifying, s.endpoint(e))
		}
	}
}

// endpoint answers as a dialect does.
func (s *Server) endpoint(e wire.Endpoint) fiber.Handler {
	return func(c *fiber.Ctx) error {
		exchange, err := e.Read(askedOf(c))
		if err != nil {
			return err
		}
		answer := exchange.Answer(s.exchange(c, exchange))
		c.Set(fiber.HeaderContentType, answer.ContentType)
		return c.Status(answer.Status).Send(answer.Body)
	}
}

// askedOf is what a dialect sees of a request.
func askedOf(c *fiber.Ctx) wire.Asked {
	return wire.Asked{
		Opening: openingOf(c), Body: slices.Clone(c.Body()),
		Part: func(name string) string {
			part, _ := url.PathUnescape(string([]byte(c.Params(name)))) // plain has seen to it
			return part
		},
	}
}

// exchange does what is asked, one after the other, and returns what each is told.
func (s *Server) exchange(c *fiber.Ctx, x wire.Exchange) []wire.Notice {
	refuse := func(ref string, err error) wire.Notice {
		if limited, ok := errors.AsType[*admission.LimitedError](err); ok {
			retryAfter(c, limited.After)
		}
		return s.node.Refuse(ref, err)
	}
	id, err := s.node.Verifier.Verify(x.Token)
	if err != nil {
		return []wire.Notice{refuse("", err)}
	}
	payerOf(c).User = s.node.Door.User(id.User)
	told, bytes := make([]wire.Notice, len(x.Requests)), len(c.Body())
	for i, request := range x.Requests {
		ref, cost := admission.Price(request, bytes, 0)
		bytes = 0 // the first has paid for them
		ok, err := wire.OK{}, s.node.Door.Take(payerOf(c), cost)
		if err == nil {
			ok, err = s.node.Ask(c.UserContext(), session.Sender{Identity: id}, request)
		}
		if told[i] = ok; err != nil {
			told[i] = refuse(ref, err)
		}
	}
	return told
}
