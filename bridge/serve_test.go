package bridge

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology/bustest"
)

// dialTCP is dial for who wants the connection underneath.
func dialTCP(t *testing.T, b *Bridge, user string) (c *client, tcp *net.TCPConn) {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, network, address)
		tcp, _ = conn.(*net.TCPConn)
		return conn, err
	}}
	conn, _, err := websocket.Dial(t.Context(), "ws://"+b.Addr()+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	c = &client{t: t, conn: conn}
	c.send(fmt.Sprintf(`{"op":"hello","token":%q}`, token(t, b, user, "")))
	c.welcome = c.expect("welcome")
	return c, tcp
}

// frames are what a client sends, in masked frames, to be written at once.
func frames(texts ...string) []byte {
	var all []byte
	for _, text := range texts {
		const masked, long = 0x80, 126
		all = append(all, 0x81, masked|long, byte(len(text)>>8), byte(len(text)), 0, 0, 0, 0) // a mask of zeros
		all = append(all, text...)
	}
	return all
}

// More than one read takes is handled to its end, although no news of it comes.
func TestManyFramesAtOnce(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	c, tcp := dialTCP(t, b, "ana")
	const n = 50
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf(`{"id":%d,"op":"publish","channel":"app:x","event":"e","data":%q}`, i+1, strings.Repeat("x", netpoll.ReadSize/3))
	}
	if _, err := tcp.Write(frames(texts...)); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		c.find("an answer", func(m message) bool { return m["id"] == float64(i+1) && m.op() == "ok" })
	}
}

// What comes together with the end of a connection is handled, and the end noticed.
func TestLastWords(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	witness := dial(t, b, "luis")
	witness.must(`"op":"subscribe","channel":"app:x"`)
	for i := range 50 {
		_, tcp := dialTCP(t, b, "ana")
		word := fmt.Sprintf(`{"id":1,"op":"publish","channel":"app:x","event":"e%d","data":{}}`, i)
		if _, err := tcp.Write(frames(word)); err != nil {
			t.Fatal(err)
		}
		if err := tcp.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		witness.find("the last word", func(m message) bool { return m["event"] == fmt.Sprint("e", i) })
	}
	wait(t, "sessions to leave", func() bool { return b.node.SessionCount() == 1 })
}

// Whose session ended has no more say, and leaves although its channels are busy
// and it never answers the goodbye.
func TestWhoWasEndedLeaves(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Limits: session.Limits{Publishes: 1 << 20, UserPublishes: 1 << 20}})
	c, tcp := dialTCP(t, b, "ana")
	c.must(`"op":"subscribe","channel":"app:x"`)
	other := dial(t, b, "luis")
	other.must(`"op":"subscribe","channel":"app:x"`)
	b.node.Disconnect(c.ref(), schemas.Refuse(schemas.TokenExpired, "the token has expired"))
	if _, err := tcp.Write(frames(`{"id":7,"op":"publish","channel":"app:x","event":"late","data":{}}`)); err != nil {
		t.Fatal(err)
	}
	wait(t, "the session to leave", func() bool {
		other.must(`"op":"publish","channel":"app:x","event":"e","data":{}`)
		if m := other.expect("event"); m["event"] == "late" {
			t.Fatalf("an ended session published: %v", m)
		}
		return b.node.SessionCount() == 1
	})
}
