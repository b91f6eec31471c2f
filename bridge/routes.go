package bridge

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/identity"
)

// routes lays out everything that is spoken over HTTP.
func (b *Bridge) routes() *fiber.App {
	app := fiber.New(fiber.Config{
		AppName: "latido", DisableStartupMessage: true, ReduceMemoryUsage: true, ReadBufferSize: 16 << 10,
		BodyLimit: b.limits.Frame, DisablePreParseMultipartForm: true, ReadTimeout: 10 * time.Second, ErrorHandler: b.fault,
	})
	app.Server().KeepHijackedConns = true
	app.Use(plain)
	if b.config.Dev {
		app.Use([]string{"/ws", "/api", "/dev"}, thisMachine)
	}
	app.Get("/ws", b.upgrade(nativeDialect, nativeDeflated))
	app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	app.Get("/readyz", b.readiness)
	app.Get("/metrics", adaptor.HTTPHandler(promhttp.HandlerFor(b.metrics.registry, promhttp.HandlerOpts{})))
	if b.config.Dev {
		app.Use("/dev/token", b.crossOrigin)
		app.Post("/dev/token", b.devToken)
	}
	app.Use("/api", b.crossOrigin)
	app.Post("/api/presence/status", b.postStatus) // with a token of its own: before the others
	b.api(app.Group("/api", b.authenticate))
	b.pages(app)
	return app
}

// readiness is red while sessions would be ill served here.
func (b *Bridge) readiness(c *fiber.Ctx) error {
	switch {
	case !b.ready.Load():
		return c.Status(fiber.StatusServiceUnavailable).SendString("not taking sessions\n")
	case b.hub.degraded.Load():
		return c.Status(fiber.StatusServiceUnavailable).SendString("the bus is away\n")
	}
	if err := b.verifier.Ready(); err != nil {
		return c.Status(fiber.StatusServiceUnavailable).SendString(err.Error() + "\n")
	}
	return c.SendString("ready\n")
}

// crossOrigin lets pages of the allowed origins use the API.
func (b *Bridge) crossOrigin(c *fiber.Ctx) error {
	origin := c.Get(fiber.HeaderOrigin)
	if origin == "" {
		return c.Next()
	}
	c.Vary(fiber.HeaderOrigin)
	if !b.mayUse(origin) {
		return errOrigin
	}
	c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
	c.Set(fiber.HeaderAccessControlExposeHeaders, "retry-after")
	if c.Method() != fiber.MethodOptions {
		return c.Next()
	}
	c.Set(fiber.HeaderAccessControlAllowHeaders, "authorization, content-type")
	c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST, DELETE")
	c.Set(fiber.HeaderAccessControlMaxAge, "3600")
	return c.SendStatus(fiber.StatusNoContent)
}

var errOrigin = schemas.Refuse(schemas.OriginRefused, "pages of this origin are not allowed: see --origins")

// mayUse says whether pages of an origin may use the API and connect.
func (b *Bridge) mayUse(origin string) bool {
	return len(b.config.Origins) == 0 || slices.Contains(b.config.Origins, "*") || slices.Contains(b.config.Origins, origin)
}

const localIdentity = "identity"

// authenticate reads the bearer's token.
func (b *Bridge) authenticate(c *fiber.Ctx) error {
	const scheme = "Bearer "
	header := c.Get(fiber.HeaderAuthorization)
	if len(header) <= len(scheme) || header[:len(scheme)] != scheme {
		return schemas.Refuse(schemas.Unauthenticated, "the header Authorization: Bearer <token> is needed")
	}
	id, err := b.verifier.Verify(header[len(scheme):])
	if err != nil {
		return err
	}
	c.Locals(localIdentity, id)
	return c.Next()
}

// caller is who makes a request, and the channel it is about. The strings are
// copied: Fiber uses its own again.
func caller(c *fiber.Ctx) (sender, string, error) {
	channel, err := url.PathUnescape(c.Params("channel"))
	if err != nil {
		return sender{}, "", schemas.Refuse(schemas.UnknownKind, "a channel is named kind:id, percent-encoded")
	}
	id, _ := c.Locals(localIdentity).(identity.Identity)
	return sender{Identity: id}, string([]byte(channel)), nil
}

func (b *Bridge) api(group fiber.Router) {
	group.Post("/channels/:channel/events", b.postEvent)
	group.Get("/channels/:channel/events", b.getEvents)
	group.Get("/channels/:channel/presence", b.getPresence)
	group.Post("/channels/:channel/commands/:command", b.postCommand)
	group.Delete("/presence/status", b.deleteStatus)
	group.Get("/users/:user/status", b.getStatus)
	group.Get("/users/:user/duty", b.getDuty)
	group.Get("/groups/:group/online", b.getOnline)
}

func (b *Bridge) getPresence(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	if err := knows(c, "count", "limit", "after"); err != nil {
		return err
	}
	ch, err := b.roll(c.UserContext(), by.Identity, channel)
	if err != nil {
		return err
	}
	defer b.hub.release(ch)
	if c.QueryBool("count") {
		return c.JSON(fiber.Map{"count": ch.count()})
	}
	limit, err := limitOf(c, membersDefault)
	if err != nil {
		return err
	}
	members := ch.members()
	page := members
	if after := c.Query("after"); after != "" {
		page = page[slices.IndexFunc(page, func(m wire.Member) bool { return m.Ref == after })+1:]
	}
	next := ""
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Ref
	}
	return c.JSON(struct {
		Count   int           `json:"count"`
		Members []wire.Member `json:"members"`
		Next    string        `json:"next,omitempty"` // the ref to go on after
	}{len(members), page, next})
}

// Bounds of one answer that is a list.
const (
	historyDefault = 50
	membersDefault = 200
	listMost       = 1000
)

func limitOf(c *fiber.Ctx, otherwise int) (int, error) {
	limit, err := strconv.Atoi(cmp.Or(c.Query("limit"), strconv.Itoa(otherwise)))
	if err != nil || limit < 1 || limit > listMost {
		return 0, schemas.Refuse(schemas.InvalidData, "limit: a number from 1 to %d", listMost)
	}
	return limit, nil
}
