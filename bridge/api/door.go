package api

import (
	"context"
	"encoding/json"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects/identity"
)

// What passes from one handler of a request to the next.
const (
	localIdentity = "identity" // identity.Identity
	localClient   = "client"   // netip.Addr
	localPayer    = "payer"    // *admission.Payer
	localOpened   = "opened"   // opened
)

// count counts the connections of each peer until they become sockets. Who has far
// too many is closed at once, before anything was read: they would keep others out.
func (s *Server) count(conn net.Conn, state fasthttp.ConnState) {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return
	}
	peer := tcp.AddrPort().Addr().Unmap()
	if s.config.TrustedProxies.Trust(peer) {
		return
	}
	switch state {
	case fasthttp.StateNew:
		if !s.node.Door.Connected(peer) {
			_ = conn.Close()
		}
	case fasthttp.StateHijacked, fasthttp.StateClosed:
		s.node.Door.Disconnected(peer)
	case fasthttp.StateActive, fasthttp.StateIdle:
	}
}

// client is the address of whoever asks, behind the proxies that are trusted.
func (s *Server) client(c *fiber.Ctx) netip.Addr {
	tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return s.config.TrustedProxies.Client(tcp.AddrPort().Addr(),
		headers(c, fiber.HeaderXForwardedFor), headers(c, fiber.HeaderForwarded))
}

func headers(c *fiber.Ctx, name string) []string {
	var values []string
	for _, value := range c.Request().Header.PeekAll(name) {
		values = append(values, string(value))
	}
	return values
}

// enter is the door of HTTP: every request of an address costs something, so many
// are worked on at once, and none for longer than on a socket.
func (s *Server) enter(c *fiber.Ctx) error {
	client := s.client(c)
	payer := &admission.Payer{Address: s.node.Door.Address(client)}
	c.Locals(localClient, client)
	c.Locals(localPayer, payer)
	done, err := s.node.Door.Request(payer.Address)
	if err != nil {
		return err
	}
	defer done()
	if err := s.node.Door.Take(payer, admission.Cost{Work: admission.HTTPRequest}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), session.RequestTimeout)
	defer cancel()
	c.SetUserContext(ctx)
	if err = c.Next(); err != nil && ctx.Err() != nil {
		return session.ErrUnanswered
	}
	return err
}

// costs has the rest of a route cost its caller something.
func (s *Server) costs(cost admission.Cost) fiber.Handler {
	return func(c *fiber.Ctx) error {
		id, _ := c.Locals(localIdentity).(identity.Identity)
		cost := cost
		cost.Work += len(c.Request().Body()) / admission.FreeBytes
		if err := s.pay(c, id.User, cost); err != nil {
			return err
		}
		return c.Next()
	}
}

// pay charges a request to a user, "" for nobody, and to the address.
func (s *Server) pay(c *fiber.Ctx, user string, cost admission.Cost) error {
	payer := payerOf(c)
	if user != "" {
		payer.User = s.node.Door.User(user)
	}
	return s.node.Door.Take(payer, cost)
}

func payerOf(c *fiber.Ctx) *admission.Payer {
	payer, _ := c.Locals(localPayer).(*admission.Payer)
	return payer
}

// reading waits until a user may read from history, and returns what ends it.
func (s *Server) reading(ctx context.Context, user *admission.Account) (done func(), err error) {
	ofUser, err := admission.Read(ctx, user)
	if err != nil {
		return nil, err
	}
	ofHub, err := s.node.Hub.Reading(ctx)
	if err != nil {
		ofUser()
		return nil, err
	}
	return func() { ofHub(); ofUser() }, nil
}

// answer sends JSON that may be large: it counts as held until it was read.
func (s *Server) answer(c *fiber.Ctx, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	held, err := s.node.Door.Hold(payerOf(c).User, body)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.SendStream(held, len(body))
}

// retryAfter tells when to come back, in whole seconds (RFC 9110 section 10.2.3).
func retryAfter(c *fiber.Ctx, after time.Duration) {
	seconds := max(1, int64((after+time.Second-1)/time.Second))
	c.Set(fiber.HeaderRetryAfter, strconv.FormatInt(seconds, 10))
}
