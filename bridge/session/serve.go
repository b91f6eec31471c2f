package session

import (
	"errors"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// errClosed says that the peer said goodbye.
var errClosed = errors.New("closed by the peer")

// park returns whether the session may be left to the poller.
func (s *session) park() bool {
	if s.outlet.Ending() {
		s.socket.Stay() // what ends is waited for here
		return false
	}
	return s.socket.Park()
}

// Serve reads the socket until it ends or has nothing for now. It is for the worker
// pool alone.
func (s *session) Serve() {
	for {
		s.queues.await()
		err := s.socket.Read(s.feed)
		switch {
		case err == nil:
			continue
		case errors.Is(err, netpoll.ErrNothing):
			if s.park() {
				return
			}
			continue
		}
		if violation, ok := errors.AsType[*websocket.ProtocolError](err); ok {
			s.violate(violation)
			s.awaitGoodbye()
		} else if errors.Is(err, errClosed) {
			s.withdraw() // others are told at once
			s.awaitGoodbye()
		}
		s.leave()
		return
	}
}

// feed handles what was read.
func (s *session) feed(data []byte) error {
	s.heard.Store(int64(netpoll.Uptime()))
	s.node.metrics.bytesIn.Add(float64(len(data)))
	if s.listens() {
		s.strained()
		return nil
	}
	return s.reader.Feed(data, s.handle)
}

// awaitGoodbye reads on, to no effect, until the peer has our close frame and
// closes, or the time for it is over: the flusher, who writes that frame, sets it.
func (s *session) awaitGoodbye() {
	s.socket.Stay()
	if s.outlet.Stalled() { // what the peer does not take is not waited for
		s.socket.ExpectEnd(s.outlet.Hurrying() && !s.socket.Waits())
		s.outlet.Flush() // it may have been taken meanwhile
	}
	discard := func([]byte) error { return nil }
	for s.socket.Read(discard) == nil {
	}
}

func (s *session) violate(violation *websocket.ProtocolError) {
	if violation.Code == websocket.CloseTooBig {
		s.end(schemas.Refuse(schemas.FrameTooLarge, "%s", violation.Text))
		return
	}
	s.finish(websocket.AppendClose(nil, violation.Code, violation.Text))
}

// handle takes one message or control frame.
func (s *session) handle(opcode websocket.Opcode, payload []byte) error {
	switch opcode {
	case websocket.Text, websocket.Binary:
		if s.outlet.Ending() {
			return nil // it was told so
		}
		request, err := s.outlet.Decode(payload, opcode == websocket.Binary)
		if errors.Is(err, wire.ErrBinary) {
			return &websocket.ProtocolError{Code: websocket.CloseUnsupported, Text: err.Error()}
		}
		if err != nil {
			s.malformed(err)
			return nil
		}
		s.take(request, len(payload))
	case websocket.Ping:
		if s.strained() {
			return nil
		}
		s.send(websocket.AppendFrame(nil, websocket.Pong, payload))
	case websocket.Close:
		return s.part(payload)
	case websocket.Pong:
		s.ponged.Store(int64(netpoll.Uptime()))
	case websocket.Continuation:
	}
	return nil
}

// part takes the peer's close frame. After it the server is the one to end TCP,
// at once, RFC 6455 section 7.1.1. Whoever closes with 1000, or without a code, as
// close() does in a browser, will not come back. Any other code, as 1001 of a page
// that is left or loaded again, keeps its place for the grace.
func (s *session) part(payload []byte) error {
	s.outlet.Hurry()
	code, err := websocket.ParseClose(payload)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if !s.outlet.Ending() { // it may be an answer to our own
		s.goodbye = code == websocket.CloseNormal || code == websocket.CloseNoStatus
	}
	s.mu.Unlock()
	if code == websocket.CloseNoStatus {
		code = websocket.CloseNormal
	}
	if !s.finish(websocket.AppendClose(nil, code, "")) {
		s.outlet.Flush() // our own goodbye was answered, and is not waited for any more
	}
	return errClosed
}

func (s *session) malformed(err error) {
	if s.strained() {
		return
	}
	m, ok := errors.AsType[*wire.MalformedError](err)
	if !ok {
		s.refuse("", err)
		return
	}
	refusal := schemas.Refusal{Code: schemas.Code(m.Code), Message: m.Text}
	if !s.isWelcomed() {
		s.end(refusal) // nobody said hello
		return
	}
	s.refuse(m.Ref, refusal)
}
