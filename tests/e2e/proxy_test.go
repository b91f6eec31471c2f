package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

// proxy stands between a bridge and a NATS server and can lose what the server
// delivers, without either of them noticing.
type proxy struct {
	server  string
	front   net.Listener
	lose    atomic.Pointer[func(subject string) bool]
	dropped atomic.Int64
}

// startProxy listens in front of a server until the test ends.
func startProxy(t *testing.T, url string) *proxy {
	t.Helper()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: strings.TrimPrefix(url, "nats://"), front: front}
	p.loseIf(func(string) bool { return false })
	t.Cleanup(func() { _ = front.Close() })
	go p.accept()
	return p
}

func (p *proxy) url() string { return "nats://" + p.front.Addr().String() }

// loseIf has deliveries lost from now on when their subject meets a condition.
func (p *proxy) loseIf(condition func(subject string) bool) { p.lose.Store(&condition) }

func (p *proxy) accept() {
	for {
		client, err := p.front.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

// serve ends when either side does, and then ends the other.
func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_ = p.deliver(client, bufio.NewReader(server))
	_ = client.Close()
	_ = server.Close()
}

// deliver copies the server's side of the NATS protocol: lines, of which MSG and
// HMSG end with the size of a body that follows.
func (p *proxy) deliver(client io.Writer, server *bufio.Reader) error {
	for {
		line, err := server.ReadString('\n')
		if err != nil {
			return err
		}
		fields := strings.Fields(line)
		var body []byte
		if len(fields) > 3 && (fields[0] == "MSG" || fields[0] == "HMSG") {
			size, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				return fmt.Errorf("line %q: %w", line, err)
			}
			body = make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(server, body); err != nil {
				return err
			}
			if (*p.lose.Load())(fields[1]) {
				p.dropped.Add(1)
				continue
			}
		}
		if _, err := client.Write(append([]byte(line), body...)); err != nil {
			return err
		}
	}
}
