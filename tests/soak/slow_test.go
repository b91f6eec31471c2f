package soak

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// slowLine is a line to an address that carries so many bytes per second to the
// client, and all that comes from it. Its buffer is small, as on a narrow link:
// what is on its way waits at the server.
func slowLine(t *testing.T, address string, perSecond int) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var carrying sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); carrying.Wait() })
	carrying.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", address)
			if err != nil {
				_ = near.Close()
				return
			}
			_ = far.(*net.TCPConn).SetReadBuffer(4 << 10) // a larger one only hides how slow it is
			carrying.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
			carrying.Go(func() { trickle(near, far, perSecond); _ = near.Close() })
		}
	})
	return listener.Addr().String()
}

func trickle(to io.Writer, from io.Reader, perSecond int) {
	const perTick = 20
	tick := time.NewTicker(time.Second / perTick)
	defer tick.Stop()
	buffer := make([]byte, perSecond/perTick)
	for range tick.C {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
