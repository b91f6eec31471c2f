package session

import (
	"net"
	"net/netip"
	"time"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// Arrival is a connection that has done its handshake.
type Arrival struct {
	net.Conn
	Opened time.Duration // when its deadline to say hello began, by uptime
	Early  []byte        // what has been read from it already

	Codec wire.Codec   // what is spoken on it
	View  hub.View     // what is told to many on it
	First wire.Request // that its opening stood for, or nil
	Begin []byte       // what is said before anything else, or nil
}

// ErrDraining refuses who comes while the node drains.
var ErrDraining = schemas.Refuse(schemas.Draining, "this node stops: connect again")

// Accept begins a session on a connection. While the node drains it is still
// accepted: a close with a code brings a client back sooner than a refused
// connect; so is one of too many that nobody knows yet.
func (n *Node) Accept(conn Arrival, client netip.Addr) {
	n.gate.RLock()
	defer n.gate.RUnlock()
	if n.closed {
		_ = conn.Close() // the last session has been waited for
		return
	}
	visit, refused := n.Door.Enter(client)
	if n.Door.Crowded() {
		visit.Leave()
		_ = conn.Close() // those told before it are not gone yet
		return
	}
	s := newSession(n, conn, visit)
	s.working.Add(1)
	n.sessions.Add(1)
	n.registry.open(s)
	s.socket.Start()
	s.send(conn.Begin)
	switch {
	case n.draining.Load():
		s.end(ErrDraining)
	case refused != nil:
		s.end(schemas.RefusalOf(refused))
	case conn.First != nil:
		s.take(conn.First, 0)
	}
}
