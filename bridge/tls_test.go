package bridge

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology/bustest"
)

// runTLS runs a bridge that speaks TLS itself; connect is a raw socket over it.
func runTLS(t *testing.T) (b *Bridge, connect func() *raw, stop func()) {
	t.Helper()
	authority := httptest.NewTLSServer(nil)
	t.Cleanup(authority.Close)
	b, err := newBridgeAt(bustest.Start(t).URL(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	b.listener = tls.NewListener(b.listener, &tls.Config{Certificates: authority.TLS.Certificates})
	stop = run(t, b)
	trusted := authority.Client().Transport.(*http.Transport).TLSClientConfig
	return b, func() *raw {
		c, err := tls.Dial("tcp", b.Addr(), trusted)
		if err != nil {
			t.Fatal(err)
		}
		return over(t, c)
	}, stop
}

// A close frame is answered, RFC 6455 section 5.5.1, and TCP ended at once, where
// writing has to wait for the socket, as it has where others need not.
func TestAGoodbyeOverTLSIsAnswered(t *testing.T) {
	t.Parallel()
	b, connect, _ := runTLS(t)
	const times = 20
	quickest := time.Hour
	for i := range times {
		r := connect().upgrade(handshake(b, upgradeHeaders)).greet(b, "ana")
		said := time.Now()
		if i%2 == 0 {
			r.write(closeWith(4000, ""))
		} else {
			r.write(cat(text(`{"id":1,"op":"probe"}`), closeWith(4000, "")))
			r.expect("ok")
		}
		if opcode, payload, err := r.frame(); err != nil || opcode != websocket.Close || string(payload) != "\x0f\xa0" {
			t.Fatalf("answered with frame %d %q, %v", opcode, payload, err)
		}
		r.ended()
		quickest = min(quickest, time.Since(said))
	}
	if quickest >= netpoll.Farewell {
		t.Errorf("the quickest of %d goodbyes took %s, as if it had been waited for", times, quickest)
	}
}

// Who is ended is told so: a stream, which nobody answers, and who does not answer.
func TestWhoIsEndedOverTLSIsTold(t *testing.T) {
	t.Parallel()
	b, connect, stop := runTLS(t)
	r := connect().upgrade(handshake(b, upgradeHeaders)).greet(b, "ana")
	b.node.Disconnect(r.ref, schemas.Refuse(schemas.Draining, "this node stops"))
	if code := r.closed(); code != int(schemas.Draining) {
		t.Errorf("closed with %d", code)
	}
	s := connect().openStream(b, "/api/channels/app%3Ax/stream", "Authorization: Bearer "+token(t, b, "ana", "")+"\r\n")
	stop()
	if last := s.ended(); last.op() != "error" {
		t.Errorf("told last: %v", last)
	}
}
