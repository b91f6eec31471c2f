package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/eventstream"
	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/identity"
)

// mounts are the dialects that are spoken, by their path.
var mounts = map[string]spoken{}

// Mount has a dialect spoken at a path. What its sessions are told alike is what shared
// says. It is called before any server is made.
func Mount(path string, d wire.Dialect, shared wire.Encoder) {
	mounts[path] = spoken{Dialect: d, plain: hub.NewView(shared, hub.Plain), deflated: hub.NewView(shared, hub.Deflated)}
}

func init() {
	Mount("/ws", native.Dialect{}, native.Dialect{})
	streamView = hub.NewView(eventstream.Encoder{}, hub.Bare)
}

// connectionsAtOnce bounds the connections that speak HTTP: those of sessions
// have left it. One too many is answered 503.
const connectionsAtOnce = 1 << 14

// Config is what the HTTP side is told.
type Config struct {
	Node    *session.Node
	Log     *slog.Logger
	Metrics *prometheus.Registry
	Ready   func() error // says why sessions would be ill served here
	Dev     bool
	Origins []string // pages that may use the API and connect; empty or "*" is all
	// TrustedProxies are believed when they say for whom they ask; nil is loopback.
	TrustedProxies   admission.Proxies
	MetricsToken     string
	MetricsElsewhere bool
	Compress         bool
}

// Server speaks HTTP, and hands connections that became sockets to the node.
type Server struct {
	config Config
	node   *session.Node
	app    *fiber.App

	tickets *tickets
}

// New returns a server that answers nothing yet: call Serve.
func New(c Config) *Server {
	if c.TrustedProxies == nil {
		c.TrustedProxies = admission.Loopback
	}
	s := &Server{config: c, node: c.Node, tickets: newTickets(c.Node.Verifier.Derive("tickets of bridges"), c.Node.Once)}
	s.app = s.routes()
	return s
}

// Serve answers on a listener until shutdown.
func (s *Server) Serve(listener net.Listener) error {
	return s.app.Listener(punctual{listener, s.node.Limits.Handshake})
}

// Shutdown ends serve. HTTP connections that idle, or are half through a handshake,
// are not waited for.
func (s *Server) Shutdown() error {
	err := s.app.ShutdownWithTimeout(time.Second)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// routes lays out everything that is spoken over HTTP.
func (s *Server) routes() *fiber.App {
	app := fiber.New(fiber.Config{
		AppName: "latido", DisableStartupMessage: true, ReduceMemoryUsage: true, ReadBufferSize: 16 << 10,
		BodyLimit: s.node.Limits.Frame, DisablePreParseMultipartForm: true, ErrorHandler: s.fault, Concurrency: connectionsAtOnce,
		ReadTimeout: bodyTime, WriteTimeout: 30 * time.Second, IdleTimeout: 10 * time.Second,
	})
	app.Server().KeepHijackedConns = true
	app.Server().ConnState = s.count
	app.Use(plain)
	if s.config.Dev {
		app.Use(append(slices.Collect(maps.Keys(mounts)), "/api", "/dev"), thisMachine)
	}
	for path, dialect := range mounts {
		app.Get(path, s.upgrade(dialect))
	}
	app.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	app.Get("/readyz", s.readiness)
	app.Use("/api", s.crossOrigin) // a page must be able to read that it is refused
	app.Use(s.enter)
	app.Get("/metrics", s.guardMetrics, adaptor.HTTPHandler(promhttp.HandlerFor(s.config.Metrics, promhttp.HandlerOpts{})))
	if s.config.Dev {
		app.Use("/dev/token", s.crossOrigin)
		app.Post("/dev/token", s.costs(admission.Cost{Work: admission.DevToken}), s.devToken)
	}
	app.Post("/api/presence/status", s.verifying, s.postStatus)        // with a token of its own: before the others
	app.Get("/api/channels/:channel/stream", s.verifying, s.getStream) // by a token or by a ticket
	s.api(app.Group("/api", s.verifying, s.authenticate))
	s.endpoints(app)
	s.assets(app)
	s.knownMethods(app)
	return app
}

// readiness is red while sessions would be ill served here.
func (s *Server) readiness(c *fiber.Ctx) error {
	if err := s.config.Ready(); err != nil {
		return c.Status(fiber.StatusServiceUnavailable).SendString(err.Error() + "\n")
	}
	return c.SendString("ready\n")
}

// verifying is the price of looking at a token, before it is known to be good.
func (s *Server) verifying(c *fiber.Ctx) error {
	if err := s.pay(c, "", admission.Cost{Work: admission.Verify}); err != nil {
		return err
	}
	return c.Next()
}

// authenticate reads the bearer's token.
func (s *Server) authenticate(c *fiber.Ctx) error {
	token := bearer(c)
	if token == "" {
		return schemas.Refuse(schemas.Unauthenticated, "the header Authorization: Bearer <token> is needed")
	}
	id, err := s.node.Verifier.Verify(token)
	if err != nil {
		return err
	}
	c.Locals(localIdentity, id)
	return c.Next()
}

// bearer is the token that a request carries, or "", by a scheme of whatever case (RFC
// 9110, section 11.1). It is Fiber's, which uses it again.
func bearer(c *fiber.Ctx) string {
	scheme, token, _ := strings.Cut(c.Get(fiber.HeaderAuthorization), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimLeft(token, " ")
}

// caller is who makes a request, and the channel it is about. The strings are
// copied: Fiber uses its own again.
func caller(c *fiber.Ctx) (session.Sender, string, error) {
	channel, err := url.PathUnescape(c.Params("channel"))
	if err != nil {
		return session.Sender{}, "", schemas.Refuse(schemas.UnknownKind, "a channel is named kind:id, percent-encoded")
	}
	id, _ := c.Locals(localIdentity).(identity.Identity)
	return session.Sender{Identity: id}, string([]byte(channel)), nil
}

func (s *Server) api(group fiber.Router) {
	sending, query := s.costs(admission.Sending), s.costs(admission.Cost{Work: admission.Query})
	group.Post("/channels/:channel/events", sending, s.postEvent)
	group.Get("/channels/:channel/events", s.costs(admission.Cost{Work: admission.History}), s.getEvents)
	group.Get("/channels/:channel/presence", s.costs(admission.Cost{Work: admission.PresenceList}), s.getPresence)
	group.Post("/channels/:channel/commands/:command", sending, s.postCommand)
	group.Post("/tickets", s.costs(admission.Cost{Work: admission.Ticket}), s.postTicket)
	group.Delete("/presence/status", sending, s.deleteStatus)
	group.Get("/users/:user/status", query, s.getStatus)
	group.Get("/users/:user/duty", query, s.getDuty)
	group.Get("/groups/:group/online", query, s.getOnline)
}

func (s *Server) getPresence(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	if err := knows(c, "count", "limit", "after"); err != nil {
		return err
	}
	ch, err := s.node.WithPresence(c.UserContext(), by.Identity, channel)
	if err != nil {
		return err
	}
	defer s.node.Hub.Release(ch)
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
	return s.answer(c, struct {
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
