package bridge

import (
	"crypto/subtle"
	"net/http"
	"net/netip"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latido/latido/schemas"
)

// Metrics answers what Prometheus asks.
func (b *Bridge) Metrics() http.Handler {
	return promhttp.HandlerFor(b.metrics.registry, promhttp.HandlerOpts{})
}

// guardMetrics lets read /metrics who has its token or, where none is set, who is
// on this machine.
func (b *Bridge) guardMetrics(c *fiber.Ctx) error {
	token := b.config.MetricsToken
	client, _ := c.Locals(localClient).(netip.Addr)
	switch {
	case b.config.MetricsElsewhere:
		return fiber.ErrNotFound
	case token == "" && client.IsLoopback():
		return c.Next()
	case token != "" && subtle.ConstantTimeCompare([]byte(c.Get(fiber.HeaderAuthorization)), []byte("Bearer "+token)) == 1:
		return c.Next()
	}
	return schemas.Refuse(schemas.Unauthenticated, "metrics are for this machine, unless --metrics-token or --metrics-listen is set")
}
