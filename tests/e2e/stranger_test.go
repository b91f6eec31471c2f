package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
)

// stranger is a socket that says whatever a test wants, right or wrong.
type stranger struct {
	t      testing.TB
	ctx    context.Context
	socket *websocket.Conn
}

// patience bounds what a test waits for a bridge to say.
const patience = 30 * time.Second

func connect(t testing.TB, address string) *stranger {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, fmt.Errorf("no answer within %v", patience))
	t.Cleanup(cancel)
	socket, _, err := websocket.Dial(ctx, "ws://"+address+"/ws", &websocket.DialOptions{Subprotocols: []string{subprotocol}})
	if err != nil {
		t.Fatal(err)
	}
	socket.SetReadLimit(largestRead)
	t.Cleanup(func() { _ = socket.CloseNow() })
	return &stranger{t, ctx, socket}
}

// welcomed is a stranger who has said hello with a token.
func welcomed(t testing.TB, address, token string) *stranger {
	t.Helper()
	s := connect(t, address)
	s.say(fmt.Sprintf(`{"op":"hello","token":%q}`, token))
	if _, ok := s.hear().(*bridge.Welcome); !ok {
		t.Fatal("not welcome")
	}
	return s
}

func (s *stranger) say(frame string) { s.send(websocket.MessageText, []byte(frame)) }

// send does not mind that the bridge may have hung up: what it said before is
// still to be heard.
func (s *stranger) send(kind websocket.MessageType, data []byte) {
	_ = s.socket.Write(s.ctx, kind, data)
}

// hear returns the next notice, or the code the connection was closed with.
func (s *stranger) hear() any {
	s.t.Helper()
	_, data, err := s.socket.Read(s.ctx)
	if err != nil {
		if code := websocket.CloseStatus(err); code > 0 {
			return schemas.Code(code)
		}
		return err
	}
	notice, err := decodeNotice(data)
	if err != nil {
		s.t.Error(err)
	}
	return notice
}

// refusedWith reads on until the bridge refuses something, and returns the code.
func (s *stranger) refusedWith() *bridge.Error {
	s.t.Helper()
	for {
		switch heard := s.hear().(type) {
		case *bridge.Error:
			return heard
		case schemas.Code:
			s.t.Errorf("closed with %d before an error was told", heard)
			return &bridge.Error{}
		case error:
			s.t.Errorf("no refusal: %v", heard)
			return &bridge.Error{}
		}
	}
}

// closedWith reads on until the connection ends, and returns the code.
func (s *stranger) closedWith() schemas.Code {
	s.t.Helper()
	for {
		switch heard := s.hear().(type) {
		case schemas.Code:
			return heard
		case error:
			if errors.Is(heard, context.DeadlineExceeded) {
				s.t.Error("the connection stays open")
			}
			return 0
		}
	}
}

// works says whether the session still answers.
func (s *stranger) works() bool {
	s.t.Helper()
	s.say(`{"id":9007199254740991,"op":"subscribe","channel":"app:still-here"}`)
	for {
		switch heard := s.hear().(type) {
		case *bridge.OK:
			if heard.ID == 9007199254740991 {
				return true
			}
		case schemas.Code, error:
			return false
		}
	}
}

func request(fields map[string]any) string {
	frame, err := json.Marshal(fields)
	if err != nil {
		panic(err) // a test's own value
	}
	return string(frame)
}
