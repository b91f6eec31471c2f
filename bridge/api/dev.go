package api

import (
	"cmp"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/schemas"
)

// devTokenAge is how long a token of dev mode is good.
const devTokenAge = 24 * time.Hour

// Refusals of dev mode, which say what mends them.
var (
	errForeignPage = schemas.Refuse(schemas.OriginRefused, "dev mode takes pages of this machine only: --jwt-secret or --jwks-url lets others in")
	errForeignHost = schemas.Refuse(schemas.ThisMachineOnly, "dev mode is spoken to as localhost, 127.0.0.1 or [::1]: --jwt-secret or --jwks-url allows other names")
	errProxied     = schemas.Refuse(schemas.ThisMachineOnly, "dev mode takes nothing that came through a proxy: --jwt-secret or --jwks-url allows it")
)

// thisMachine keeps dev mode, where anyone may have any token, to this machine.
// That it listens on loopback is not enough: pages that a developer visits reach
// that, too, by their scripts, or by a name of their own which resolves to
// 127.0.0.1 (DNS rebinding); and a proxy lets in the whole world.
func thisMachine(c *fiber.Ctx) error {
	if origin := c.Get(fiber.HeaderOrigin); origin != "" && !isOwnPage(origin) {
		return errForeignPage
	}
	if !isLoopback(string(c.Context().Host())) {
		return errForeignHost
	}
	for name := range c.GetReqHeaders() {
		if isProxys(strings.ToLower(name)) {
			return errProxied
		}
	}
	return c.Next()
}

// isLoopback says whether a host, with a port or without, is only ever this
// machine. Names but localhost are whatever their owner makes of them.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && address.Unmap().IsLoopback()
}

// isProxys tells a header that proxies add: of RFC 7239 and RFC 9110, 7.6.3, and
// those of common use before.
func isProxys(header string) bool {
	return header == "forwarded" || header == "via" || header == "x-real-ip" || strings.HasPrefix(header, "x-forwarded-")
}

// devToken hands out a token to anyone, in dev mode.
func (s *Server) devToken(c *fiber.Ctx) error {
	if err := knows(c); err != nil {
		return err
	}
	var ask struct{ User, Name, Role string }
	sent := make(form)
	// Whatever the content type says: curl -d says that it sends a form.
	if err := cmp.Or(readObject(c, &sent), readObject(c, &ask)); err != nil {
		return schemas.Refuse(schemas.InvalidData, `a body such as {"user":"ana"} is needed`)
	}
	if err := sent.only("user", "name", "role"); err != nil {
		return err
	}
	token, err := s.node.Verifier.Sign(ask.User, ask.Name, ask.Role, devTokenAge)
	if err != nil {
		return err
	}
	if _, err := s.node.Verifier.Verify(token); err != nil {
		return schemas.Refuse(schemas.InvalidData, "%s", schemas.RefusalOf(err).Message)
	}
	return c.JSON(fiber.Map{"token": token})
}
