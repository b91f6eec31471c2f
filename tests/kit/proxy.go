package kit

import (
	"bufio"
	"cmp"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Proxy carries TCP connections to an address, and breaks on command: silently, as
// radio does, or with an end that both sides notice. It can also be slow
// ([Proxy.Slow]), and lose what a NATS server delivers ([Proxy.DropIf]).
type Proxy struct {
	listener net.Listener
	carrying sync.WaitGroup

	mu        sync.Mutex
	changed   sync.Cond
	state     proxyState
	target    string
	nats      bool // the target is a NATS server
	ends      map[net.Conn]struct{}
	perSecond int // bytes to a client, 0 for any
	drops     func(subject string) bool
	dropped   int
}

type proxyState int

const (
	whole proxyState = iota
	stalled
	cut
	removed
)

// NewProxy listens on a port of its own and carries what comes to target, an address
// or the URL of a NATS server, until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, nats := strings.CutPrefix(target, "nats://")
	p := &Proxy{listener: listener, target: address, nats: nats, ends: map[net.Conn]struct{}{}}
	p.changed.L = &p.mu
	p.carrying.Go(p.accept)
	t.Cleanup(p.remove)
	return p
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is where it listens, as a NATS server.
func (p *Proxy) URL() string { return "nats://" + p.Addr() }

// Stall lets nothing pass any more, in either direction, and nobody is told:
// what is sent waits, also the end of a connection, and a new one is not answered.
func (p *Proxy) Stall() { p.become(stalled, "") }

// Cut ends every connection and every new one at once.
func (p *Proxy) Cut() { p.become(cut, "") }

// Restore lets everything pass again: what waited as well.
func (p *Proxy) Restore() { p.become(whole, "") }

// Redirect is Restore with another target: new connections go there.
func (p *Proxy) Redirect(target string) { p.become(whole, target) }

// Slow carries so many bytes per second to each client, and all that comes from it,
// on new connections. The buffer is small, as on a narrow link: what is on its way
// waits at the server.
func (p *Proxy) Slow(perSecond int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.perSecond = perSecond
}

// DropIf has deliveries of a NATS server lost from now on when their subject meets a
// condition; nil loses none. The target must be the URL of one.
func (p *Proxy) DropIf(condition func(subject string) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops = condition
}

// Dropped is how many deliveries were lost.
func (p *Proxy) Dropped() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dropped
}

func (p *Proxy) remove() {
	p.become(removed, "")
	_ = p.listener.Close() // only an end is wanted of it
	p.carrying.Wait()
}

func (p *Proxy) become(state proxyState, target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = cmp.Or(target, p.target)
	if p.state = state; state == cut || state == removed {
		for end := range p.ends {
			_ = end.Close()
		}
	}
	p.changed.Broadcast()
}

// pass waits while the proxy is silent; it returns where the proxy leads, or nowhere
// when it is cut.
func (p *Proxy) pass() (target string, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.state == stalled {
		p.changed.Wait()
	}
	return p.target, p.state == whole
}

func (p *Proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.carrying.Go(func() { p.carry(from) })
	}
}

func (p *Proxy) carry(from net.Conn) {
	defer p.hold(from)()
	target, open := p.pass()
	if !open {
		return
	}
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer p.hold(to)()
	var back sync.WaitGroup
	back.Go(func() { p.pump(to, from, p.source(to)) })
	p.pump(from, to, from)
	back.Wait()
}

// hold makes Cut end a connection; what it returns ends it too.
func (p *Proxy) hold(end net.Conn) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends[end] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.ends, end)
		_ = end.Close()
	}
}

// source reads what a target sends, as the client is to have it.
func (p *Proxy) source(target net.Conn) io.Reader {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.nats:
		return &dropping{from: bufio.NewReader(target), drop: p.drop}
	case p.perSecond > 0:
		_ = target.(*net.TCPConn).SetReadBuffer(4 << 10) // a larger one only hides how slow it is
		return &slow{from: target, perSecond: p.perSecond}
	}
	return target
}

// pump carries one direction until an end closes, and then closes the other.
func (p *Proxy) pump(from, to net.Conn, source io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := source.Read(buffer)
		if _, open := p.pass(); !open {
			err = net.ErrClosed
		} else if n > 0 && err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

// slow gives a few bytes at a time.
type slow struct {
	from      io.Reader
	perSecond int
}

func (s *slow) Read(into []byte) (int, error) {
	const perTick = 20
	tick := time.NewTimer(time.Second / perTick)
	defer tick.Stop()
	<-tick.C
	return s.from.Read(into[:min(len(into), max(1, s.perSecond/perTick))])
}
