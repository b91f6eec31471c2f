package api

import (
	"net/url"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/schemas"
)

var errOrigin = schemas.Refuse(schemas.OriginRefused, "pages of this origin are not allowed: see --origins")

// crossOrigin lets pages of the allowed origins use the API.
func (s *Server) crossOrigin(c *fiber.Ctx) error {
	if !s.letRead(c) {
		return errOrigin
	}
	if c.Method() != fiber.MethodOptions || c.Get(fiber.HeaderOrigin) == "" {
		return c.Next()
	}
	c.Set(fiber.HeaderAccessControlAllowHeaders, "authorization, content-type, last-event-id")
	c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST, DELETE")
	c.Set(fiber.HeaderAccessControlMaxAge, "3600")
	return c.SendStatus(fiber.StatusNoContent)
}

// letRead lets the page that asks read the answer, a refusal as well, and returns
// whether its origin is allowed (the Fetch standard, "CORS protocol"). Who names no
// origin is no page.
func (s *Server) letRead(c *fiber.Ctx) bool {
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return true
	}
	c.Vary(fiber.HeaderOrigin)
	if !s.mayUse(origin) {
		return false
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Set(fiber.HeaderAccessControlExposeHeaders, "retry-after")
	return true
}

// letReadRefusal does the same for a refusal. Of a request that could not be read
// whole there are no headers any more, but such an answer is nobody's secret.
func (s *Server) letReadRefusal(c *fiber.Ctx) {
	s.letRead(c)
	if len(c.Request().Header.Host()) == 0 {
		c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	}
}

// mayUse says whether pages of an origin may use the API and connect.
func (s *Server) mayUse(origin string) bool {
	if s.config.Dev && !isOwnPage(origin) {
		return false
	}
	return len(s.config.Origins) == 0 || slices.Contains(s.config.Origins, "*") || slices.Contains(s.config.Origins, origin)
}

// isOwnPage says whether pages of an origin are served by this machine.
func isOwnPage(origin string) bool {
	page, err := url.Parse(origin)
	return err == nil && isLoopback(page.Host)
}
