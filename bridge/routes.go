package bridge

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/identity"
)

// connectionsAtOnce bounds the connections that speak HTTP: those of sessions
// have left it. One too many is answered 503.
const connectionsAtOnce = 1 << 14

// routes lays out everything that is spoken over HTTP.
func (b *Bridge) routes() *fiber.App {
	app := fiber.New(fiber.Config{
		AppName: "latido", DisableStartupMessage: true, ReduceMemoryUsage: true, ReadBufferSize: 16 << 10,
		BodyLimit: b.limits.Frame, DisablePreParseMultipartForm: true, ErrorHandler: b.fault, Concurrency: connectionsAtOnce,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 10 * time.Second,
	})
	app.Server().KeepHijackedConns = true
	app.Server().ConnState = b.count
	app.Use(plain)
	if b.config.Dev {
		app.Use([]string{"/ws", "/api", "/dev"}, thisMachine)
	}
	app.Get("/ws", b.upgrade(hub.Native, hub.NativeDeflated))
	app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	app.Get("/readyz", b.readiness)
	app.Use("/api", b.crossOrigin) // a page must be able to read that it is refused
	app.Use(b.enter)
	app.Get("/metrics", b.guardMetrics, adaptor.HTTPHandler(b.Metrics()))
	if b.config.Dev {
		app.Use("/dev/token", b.crossOrigin)
		app.Post("/dev/token", b.costs(admission.Cost{Work: admission.DevToken}), b.devToken)
	}
	app.Post("/api/presence/status", b.verifying, b.postStatus) // with a token of its own: before the others
	b.api(app.Group("/api", b.verifying, b.authenticate))
	b.pages(app)
	b.knownMethods(app)
	return app
}

// readiness is red while sessions would be ill served here.
func (b *Bridge) readiness(c *fiber.Ctx) error {
	if err := b.Ready(); err != nil {
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

// verifying is the price of looking at a token, before it is known to be good.
func (b *Bridge) verifying(c *fiber.Ctx) error {
	if err := b.pay(c, "", admission.Cost{Work: admission.Verify}); err != nil {
		return err
	}
	return c.Next()
}

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
	sending, query := b.costs(admission.Sending), b.costs(admission.Cost{Work: admission.Query})
	group.Post("/channels/:channel/events", sending, b.postEvent)
	group.Get("/channels/:channel/events", b.costs(admission.Cost{Work: admission.History}), b.getEvents)
	group.Get("/channels/:channel/presence", b.costs(admission.Cost{Work: admission.PresenceList}), b.getPresence)
	group.Post("/channels/:channel/commands/:command", sending, b.postCommand)
	group.Delete("/presence/status", sending, b.deleteStatus)
	group.Get("/users/:user/status", query, b.getStatus)
	group.Get("/users/:user/duty", query, b.getDuty)
	group.Get("/groups/:group/online", query, b.getOnline)
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
	defer b.hub.Release(ch)
	if count := c.Query("count"); count != "" && count != "true" && count != "false" {
		return schemas.Refuse(schemas.InvalidData, "count: true or false")
	}
	if c.QueryBool("count") {
		return c.JSON(fiber.Map{"count": ch.Count()})
	}
	limit, err := limitOf(c, membersDefault)
	if err != nil {
		return err
	}
	members := ch.Members()
	page := members
	if after := c.Query("after"); after != "" {
		page = page[slices.IndexFunc(page, func(m wire.Member) bool { return m.Ref == after })+1:]
	}
	next := ""
	if len(page) > limit {
		page = page[:limit]
		next = page[limit-1].Ref
	}
	return b.answer(c, struct {
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
