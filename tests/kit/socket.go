package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
)

const (
	answerWithin = 20 * time.Second // the longest a bridge may take to welcome or to take a frame
	largestRead  = 16 << 20
)

// socket is one WebSocket to a bridge, and the wire below it.
type socket struct {
	conn *websocket.Conn
	wire net.Conn // to cut it as a tunnel would
}

// dial connects to a bridge's address. A refused upgrade is a [schemas.Refusal].
func dial(ctx context.Context, address string, subprotocols ...string) (*socket, error) {
	s := &socket{}
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		wire, err := (&net.Dialer{}).DialContext(ctx, network, address)
		s.wire = wire
		return wire, err
	}}
	conn, response, err := websocket.Dial(ctx, "ws://"+address+"/ws", &websocket.DialOptions{
		Subprotocols: subprotocols, HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		return nil, fmt.Errorf("dial: %w", upgradeRefusal(response, err))
	}
	conn.SetReadLimit(largestRead)
	s.conn = conn
	return s, nil
}

// upgradeRefusal reads the bridge's code from a refused upgrade.
func upgradeRefusal(response *http.Response, err error) error {
	if response == nil || response.Body == nil {
		return err
	}
	var refused bridge.Error
	if json.NewDecoder(response.Body).Decode(&refused) == nil && refused.Code != 0 {
		return refusal(&refused)
	}
	return err
}

// closeRefusal turns a close frame with one of the bridge's codes into that refusal.
func closeRefusal(err error) error {
	if code := websocket.CloseStatus(err); code >= 4000 {
		return schemas.Refusal{Code: schemas.Code(code)}
	}
	return err
}

func refusal(notice *bridge.Error) schemas.Refusal {
	return schemas.Refusal{Code: schemas.Code(notice.Code), Message: notice.Message}
}

// write sends one message. A canceled write would tear the connection down with
// half a frame in it, so that it heeds no context but its own.
func (s *socket) write(kind websocket.MessageType, data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	return s.conn.Write(ctx, kind, data)
}

// read returns the next message, which must be text.
func (s *socket) read(ctx context.Context) ([]byte, error) {
	kind, data, err := s.conn.Read(ctx)
	if err == nil && kind != websocket.MessageText {
		return nil, fmt.Errorf("a message of kind %v", kind)
	}
	return data, err
}

// leave says goodbye, as a page does that is closed.
func (s *socket) leave() error { return s.conn.Close(websocket.StatusNormalClosure, "") }

// cut ends the connection without a goodbye, with a reset or without.
func (s *socket) cut(reset bool) {
	if tcp, ok := s.wire.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	_ = s.wire.Close()
}
