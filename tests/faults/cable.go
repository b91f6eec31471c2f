package faults

import (
	"fmt"
	"net"
	"sync"
)

// Cable carries TCP connections to an address and breaks on command: silently,
// as radio does, or with an end that both sides notice.
type Cable struct {
	listener net.Listener
	carrying sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond
	state   cableState
	target  string
	ends    map[net.Conn]struct{}
}

type cableState int

const (
	whole cableState = iota
	silent
	severed
	removed
)

// LayCable listens on a port of its own and carries what comes to target.
func LayCable(target string) (*Cable, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("lay cable: %w", err)
	}
	c := &Cable{listener: listener, target: target, ends: map[net.Conn]struct{}{}}
	c.changed.L = &c.mu
	c.carrying.Go(c.accept)
	return c, nil
}

// Addr is where the cable begins.
func (c *Cable) Addr() string { return c.listener.Addr().String() }

// Silence lets nothing pass any more, in either direction, and nobody is told:
// what is sent waits, also the end of a connection, and a new one is not answered.
func (c *Cable) Silence() { c.become(silent, "") }

// Sever ends every connection and every new one at once.
func (c *Cable) Sever() { c.become(severed, "") }

// Mend lets everything pass again: what waited as well.
func (c *Cable) Mend() { c.become(whole, "") }

// Lead is Mend with another end: new connections go to target.
func (c *Cable) Lead(target string) { c.become(whole, target) }

// Remove ends the cable and waits for what it did.
func (c *Cable) Remove() {
	c.become(removed, "")
	_ = c.listener.Close() // only an end is wanted of it
	c.carrying.Wait()
}

func (c *Cable) become(state cableState, target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if target != "" {
		c.target = target
	}
	if c.state = state; state == severed || state == removed {
		for end := range c.ends {
			_ = end.Close()
		}
	}
	c.changed.Broadcast()
}

// pass waits while the cable is silent; it returns where the cable leads, or
// nowhere when it is cut.
func (c *Cable) pass() (target string, open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.state == silent {
		c.changed.Wait()
	}
	return c.target, c.state == whole
}

func (c *Cable) accept() {
	for {
		from, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.carrying.Go(func() { c.carry(from) })
	}
}

func (c *Cable) carry(from net.Conn) {
	defer c.hold(from)()
	target, open := c.pass()
	if !open {
		return
	}
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer c.hold(to)()
	var back sync.WaitGroup
	back.Go(func() { c.pump(to, from) })
	c.pump(from, to)
	back.Wait()
}

// hold makes Sever end a connection; what it returns ends it too.
func (c *Cable) hold(end net.Conn) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[end] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.ends, end)
		_ = end.Close()
	}
}

// pump carries one direction until an end closes, and then closes the other.
func (c *Cable) pump(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if _, open := c.pass(); !open {
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
