package bridge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/latido/latido/subjects/topology/bustest"
)

// Who agreed on compression and who did not get the same, each in its way.
func TestCompression(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	b, _ := runBridge(t, bus, Config{Compress: true})
	conn, response, err := websocket.Dial(t.Context(), "ws://"+b.Addr()+"/ws", &websocket.DialOptions{
		CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if agreed := response.Header.Get("Sec-WebSocket-Extensions"); !strings.HasPrefix(agreed, "permessage-deflate") {
		t.Fatalf("agreed on %q", agreed)
	}
	conn.SetReadLimit(1 << 22)
	packed := &client{t: t, conn: conn}
	t.Cleanup(func() { _ = conn.CloseNow() })
	packed.send(fmt.Sprintf(`{"op":"hello","token":%q}`, token(t, b, "ana", "")))
	packed.expect("welcome")
	plain := dial(t, b, "ana")
	for _, c := range []*client{packed, plain} {
		c.must(`"op":"subscribe","channel":%q`, room)
	}
	published := publish(t, bus, 50, 2000)
	for _, c := range []*client{packed, plain} {
		equal(t, "events", c.events(room, len(published)), published)
	}
}
