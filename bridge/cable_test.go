package bridge

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// cable is between a bridge and the bus, and can be cut.
type cable struct {
	url    string
	target string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]struct{}
	tasks sync.WaitGroup
}

func lay(t *testing.T, url string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{url: "nats://" + listener.Addr().String(), target: strings.TrimPrefix(url, "nats://"), conns: make(map[net.Conn]struct{})}
	c.tasks.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			c.tasks.Go(func() { c.carry(near) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		c.set(true)
		c.tasks.Wait()
	})
	return c
}

func (c *cable) carry(near net.Conn) {
	far, err := net.Dial("tcp", c.target)
	if err != nil || !c.hold(near, far) {
		_ = near.Close()
		return
	}
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		c.tasks.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = near.Close()
			_ = far.Close()
		})
	}
}

func (c *cable) hold(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.cut {
			_ = conn.Close()
			continue
		}
		c.conns[conn] = struct{}{}
	}
	return !c.cut
}

// set cuts the cable, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for conn := range c.conns {
		_ = conn.Close()
	}
	clear(c.conns)
}
