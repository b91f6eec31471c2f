package api

import (
	"net"
	"time"

	"github.com/latido/latido/bridge/netpoll"
)

// punctual is a listener whose connections have a bounded time for their first
// request, from the moment they are accepted: fasthttp begins to count with the
// first byte only, and waits for that without end.
type punctual struct {
	net.Listener
	within time.Duration
}

// Accept waits for a connection.
func (l punctual) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(l.within)) // a connection that is closed already shows it when it is read
	return &punctualConn{Conn: conn, accepted: netpoll.Uptime()}, nil
}

// punctualConn is a connection that keeps the deadline of its first request.
type punctualConn struct {
	net.Conn
	accepted  time.Duration // by uptime
	deadlines int           // that fasthttp wanted: one for the first request, two for each after it
}

// SetReadDeadline leaves out the first deadline, which fasthttp sets when the
// first byte has come.
func (c *punctualConn) SetReadDeadline(t time.Time) error {
	if c.deadlines++; c.deadlines == 1 {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// since is when the connection was opened, or now when it has served requests before.
func (c *punctualConn) since() time.Duration {
	if c.deadlines > 1 {
		return netpoll.Uptime()
	}
	return c.accepted
}
