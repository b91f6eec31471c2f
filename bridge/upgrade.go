package bridge

import (
	"net"
	"strings"

	fiberws "github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/native"
)

// upgrade does the WebSocket handshake and takes the connection out of Fiber:
// the handler returns at once, and what Fiber and the handshake had allocated is
// free again while the session lives. This is the only file that knows
// contrib/websocket.
func (b *Bridge) upgrade(plain, deflated dialect) fiber.Handler {
	handshake := func(d dialect) fiber.Handler {
		return fiberws.New(func(c *fiberws.Conn) {
			b.accept(unwrap(c.NetConn()), d)
		}, fiberws.Config{
			Subprotocols: []string{native.Subprotocol}, Origins: b.config.Origins,
			ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, EnableCompression: dialects[d].deflate,
		})
	}
	withoutDeflate, withDeflate := handshake(plain), handshake(deflated)
	return func(c *fiber.Ctx) error {
		if !fiberws.IsWebSocketUpgrade(c) {
			return fiber.NewError(fiber.StatusUpgradeRequired, "this address speaks WebSocket")
		}
		if b.config.Compress && offersDeflate(c) {
			return withDeflate(c)
		}
		return withoutDeflate(c)
	}
}

// offersDeflate is by the same rule as the handshake's own.
func offersDeflate(c *fiber.Ctx) bool {
	for offer := range strings.SplitSeq(c.Get(fiber.HeaderSecWebSocketExtensions), ",") {
		if strings.HasPrefix(strings.TrimSpace(offer), "permessage-deflate") {
			return true
		}
	}
	return false
}

// unwrap finds the connection within fasthttp's, which it keeps open for us
// because the server has KeepHijackedConns.
func unwrap(conn net.Conn) net.Conn {
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return hijacked.UnsafeConn()
	}
	return conn
}

// accept begins a session on a connection. While the node drains it is still
// accepted: a close with a code brings a client back sooner than a refused
// connect.
func (b *Bridge) accept(conn net.Conn, d dialect) {
	b.gate.RLock()
	defer b.gate.RUnlock()
	if b.closed {
		_ = conn.Close() // the last session has been waited for
		return
	}
	f := b.hub.flushers[b.next.Add(1)%uint64(len(b.hub.flushers))]
	s := newSession(b, conn, d, f)
	s.working.Add(1)
	b.sessions.Add(1)
	s.socket.polled = b.poller.add(s)
	b.registry.open(s)
	if !s.socket.polled || !s.park() {
		b.crew.take(b.hub, s)
	}
	if b.draining.Load() {
		s.end(errDraining)
	}
}
