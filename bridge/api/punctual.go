package api

import (
	"io"
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
	unread    bool          // the request that was refused last
}

// SetReadDeadline leaves out the first deadline, which fasthttp sets when the
// first byte has come.
func (c *punctualConn) SetReadDeadline(t time.Time) error {
	if c.deadlines++; c.deadlines == 1 {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// bodyTime is how long the body of a request may take to come.
const bodyTime = 10 * time.Second

// Close ends the connection. Where a request was refused before it was read the peer
// still sends it, and would be told that the connection broke instead of why it is
// refused: what comes is thrown away until it is through, RFC 9112 section 9.6.
func (c *punctualConn) Close() error {
	if tcp, is := c.Conn.(*net.TCPConn); is && c.unread && tcp.CloseWrite() == nil {
		_ = tcp.SetReadDeadline(time.Now().Add(bodyTime))
		_, _ = io.Copy(io.Discard, tcp)
	}
	return c.Conn.Close()
}

// since is when the connection was opened, or now when it has served requests before.
func (c *punctualConn) since() time.Duration {
	if c.deadlines > 1 {
		return netpoll.Uptime()
	}
	return c.accepted
}
