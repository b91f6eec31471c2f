package api

import (
	"net"
	"net/netip"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
)

// peer is a connection from an address.
type peer struct {
	net.Conn
	address net.Addr
	closed  bool
}

func (p *peer) RemoteAddr() net.Addr { return p.address }
func (p *peer) Close() error         { p.closed = true; return nil }

// Nobody keeps others out by connections that say nothing.
func TestConnectionsOfAPeerAreBounded(t *testing.T) {
	t.Parallel()
	s := &Server{node: &session.Node{Door: admission.New(session.Limits{}.WithDefaults().Admission())}, config: Config{TrustedProxies: admission.Loopback}}
	open := func(address string) *peer {
		p := &peer{address: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 4711))}
		s.count(p, fasthttp.StateNew)
		return p
	}
	var all []*peer
	for range 1000 {
		all = append(all, open("192.0.2.1"))
	}
	one := open("192.0.2.1")
	if all[999].closed || !one.closed || open("192.0.2.2").closed || open("127.0.0.1").closed {
		t.Error("the bound of a peer does not hold, or holds for others")
	}
	s.count(one, fasthttp.StateClosed)
	s.count(all[0], fasthttp.StateHijacked)
	if open("192.0.2.1").closed {
		t.Error("there is no room after one has become a socket")
	}
}
