package kit

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// echo answers every connection with what it says.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return listener.Addr().String()
}

func TestProxyBreaks(t *testing.T) {
	t.Parallel()
	proxy := NewProxy(t, echo(t))
	dial := func() (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn, bufio.NewReader(conn)
	}
	first, heard := dial()
	say := func(conn net.Conn, text string) {
		if _, err := io.WriteString(conn, text+"\n"); err != nil {
			t.Error(err)
		}
	}
	hear := func(from *bufio.Reader, want string) {
		if line, err := from.ReadString('\n'); err != nil || line != want+"\n" {
			t.Errorf("heard %q, %v, want %q", line, err, want)
		}
	}
	say(first, "one")
	hear(heard, "one")
	proxy.Stall()
	say(first, "two")
	second, later := dial() // is not answered before it is restored
	say(second, "three")
	proxy.Restore()
	hear(heard, "two")
	hear(later, "three")
	proxy.Cut()
	for _, from := range []*bufio.Reader{heard, later} {
		if _, err := from.ReadString('\n'); err == nil {
			t.Error("heard something on a cut connection")
		}
	}
	proxy.Restore()
	proxy.Slow(100)
	third, slowly := dial()
	say(third, strings.Repeat("x", 20))
	hear(slowly, strings.Repeat("x", 20))
}

func TestProxyLosesDeliveries(t *testing.T) {
	t.Parallel()
	const said = "INFO {}\r\nMSG lost 1 4\r\nMSG \r\nHMSG kept 1 2 4\r\n\r\nhi\r\nHMSG lost 2 reply 1 1\r\nx\r\nPING\r\n"
	p := &Proxy{drops: func(subject string) bool { return subject == "lost" }}
	heard, err := io.ReadAll(&dropping{from: bufio.NewReader(strings.NewReader(said)), drop: p.drop})
	if want := "INFO {}\r\nHMSG kept 1 2 4\r\n\r\nhi\r\nPING\r\n"; err != nil || string(heard) != want || p.Dropped() != 2 {
		t.Errorf("%q, %v, %d lost; want %q", heard, err, p.Dropped(), want)
	}
}
