package api

import (
	"crypto/subtle"
	"net/netip"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/schemas"
)

// guardMetrics lets read /metrics who has its token or, where none is set, who is
// on this machine.
func (s *Server) guardMetrics(c *fiber.Ctx) error {
	token := s.config.MetricsToken
	client, _ := c.Locals(localClient).(netip.Addr)
	switch {
	case s.config.MetricsElsewhere:
		return fiber.ErrNotFound
	case token == "" && client.IsLoopback():
		return c.Next()
	case token != "" && subtle.ConstantTimeCompare([]byte(bearer(c)), []byte(token)) == 1:
		return c.Next()
	}
	return schemas.Refuse(schemas.Unauthenticated, "metrics are for this machine, unless --metrics-token or --metrics-listen is set")
}
