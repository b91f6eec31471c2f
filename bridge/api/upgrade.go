package api

import (
	"encoding/base64"
	"net"
	"net/netip"
	"strings"

	fiberws "github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// spoken is a dialect and its views.
type spoken struct {
	wire.Dialect
	plain, deflated hub.View
}

// upgrade does the WebSocket handshake and takes the connection out of Fiber:
// the handler returns at once, and what Fiber and the handshake had allocated is
// free again while the session lives. This is the only file that knows
// contrib/websocket, which answers what checkHandshake has let pass.
func (s *Server) upgrade(d spoken) fiber.Handler {
	shake := fiberws.New(func(c *fiberws.Conn) {
		client, _ := c.Locals(localClient).(netip.Addr)
		opened, _ := c.Locals(localOpened).(opened)
		s.node.Accept(unwrap(opened, c.NetConn()), client)
	}, fiberws.Config{Subprotocols: d.Subprotocols(), ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10})
	return func(c *fiber.Ctx) error {
		if err := s.checkHandshake(c); err != nil {
			return err
		}
		codec, first, err := d.Open(openingOf(c))
		if err != nil {
			return err
		}
		opened := opened{codec: codec, first: first, view: d.plain}
		answer := ""
		if s.config.Compress {
			answer = websocket.AcceptDeflate(values(c, fiber.HeaderSecWebSocketExtensions)...)
		}
		if answer != "" {
			opened.view = d.deflated
		}
		c.Locals(localClient, s.client(c))
		c.Locals(localOpened, opened)
		c.Request().Header.Set(fiber.HeaderSecWebSocketProtocol, strings.Join(values(c, fiber.HeaderSecWebSocketProtocol), ","))
		if err := shake(c); err != nil {
			return err
		}
		if answer != "" {
			c.Set(fiber.HeaderSecWebSocketExtensions, answer)
		}
		return nil
	}
}

// opened is what a connection's opening has brought.
type opened struct {
	codec wire.Codec
	first wire.Request
	view  hub.View
	begin []byte
}

// openingOf is what a dialect sees of a request. What it keeps is a copy: Fiber uses
// its strings again.
func openingOf(c *fiber.Ctx) wire.Opening {
	return wire.Opening{
		Path:   strings.Clone(c.Path()),
		Query:  func(name string) string { return strings.Clone(c.Query(name)) },
		Header: func(name string) string { return strings.Clone(c.Get(name)) },
	}
}

// checkHandshake refuses what is no opening handshake of RFC 6455 section 4.2.1,
// and what comes from pages that may not connect. Who names no origin is no page.
func (s *Server) checkHandshake(c *fiber.Ctx) error {
	if !fiberws.IsWebSocketUpgrade(c) {
		c.Set(fiber.HeaderUpgrade, "websocket")
		return fiber.NewError(fiber.StatusUpgradeRequired, "this address speaks WebSocket")
	}
	if version := values(c, fiber.HeaderSecWebSocketVersion); len(version) != 1 || version[0] != webSocketVersion {
		c.Set(fiber.HeaderSecWebSocketVersion, webSocketVersion)
		return fiber.NewError(fiber.StatusUpgradeRequired, "version "+webSocketVersion+" of WebSocket is spoken here")
	}
	keys := values(c, fiber.HeaderSecWebSocketKey)
	if len(keys) != 1 || !c.Request().Header.IsHTTP11() {
		return errHandshake
	}
	if nonce, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(nonce) != 16 {
		return errHandshake
	}
	if origin := c.Get(fiber.HeaderOrigin); origin != "" && !s.mayUse(origin) {
		return errOrigin
	}
	return nil
}

const webSocketVersion = "13"

var errHandshake = schemas.Refuse(schemas.BadHandshake, "the handshake needs HTTP/1.1 and one Sec-WebSocket-Key of 16 bytes in base64")

// values are those of all headers of a name.
func values(c *fiber.Ctx, name string) []string {
	all := c.Request().Header.PeekAll(name)
	texts := make([]string, len(all))
	for i, value := range all {
		texts[i] = strings.TrimSpace(string(value))
	}
	return texts
}

// unwrap finds the connection within fasthttp's, which it keeps open for us
// because the server has KeepHijackedConns, and what has been read from it
// already: the first frames may have come together with the handshake.
func unwrap(o opened, conn net.Conn) session.Arrival {
	got := session.Arrival{Conn: conn, Opened: netpoll.Uptime(), Codec: o.codec, First: o.first, View: o.view, Begin: o.begin}
	if hijacked, ok := got.Conn.(interface{ UnsafeConn() net.Conn }); ok {
		got.Conn = hijacked.UnsafeConn()
	}
	if punctual, ok := got.Conn.(*punctualConn); ok {
		got.Conn, got.Opened = punctual.Conn, punctual.since()
	}
	got.Early = netpoll.ReadEarly(conn, got.SetReadDeadline)
	return got
}
