package session

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
)

// move is what bridges tell one another when a session comes back: the connection of
// this generation speaks for it from now on.
type move struct {
	Ref        string `json:"ref"`
	Generation uint64 `json:"generation"`      // as in package seat
	Again      bool   `json:"again,omitempty"` // whoever has a newer one says so
}

// mostAhead is how far a generation may be ahead of the bus's clock: more than the
// clocks of two of its servers differ.
const mostAhead = time.Hour

// generationAfter is the generation of a connection that is welcomed: when that is, in
// unix milliseconds by the bus's clock, as its bridge has it; or the next one after
// that of the session's connection before, which the client says again, where that
// bridge had the clock otherwise. Without it (0) the clocks alone decide.
//
// The number is the client's own, and so is what it may do with it: a generation is
// compared with those of the same user's session of the same secret only. One that is
// too far ahead is cut to mostAhead: the clocks have caught up with it after that
// time, whatever was said. A page that is open twice takes its session from itself in
// turns, as without it.
func generationAfter(before uint64, now time.Time) uint64 {
	clock := uint64(max(now.UnixMilli(), 0))
	return max(clock, min(before+1, clock+uint64(mostAhead.Milliseconds())))
}

// tellMoved has every other connection of the session end, wherever it is: one that
// the client has given up may still bring what was sent on it, and must not act for
// the session any more. Where it is not heard, see [Node.RepeatMoves].
func (s *session) tellMoved(again bool) error {
	told, err := json.Marshal(move{s.ref, s.generation, again})
	if err != nil {
		return err
	}
	return s.node.Hub.Bus.Publish.Publish(subjects.SessionMoved, told)
}

// RepeatMoves tells of every session here once more, when the bus is back: what this
// node or another one told meanwhile was not heard. A node that has a newer connection
// of one answers, so that it is enough when one of the two was away. It costs a message
// for each session, and an answer for each that has moved.
func (n *Node) RepeatMoves() {
	if n.Hub.Bus.Live.FlushTimeout(RequestTimeout) != nil {
		return // the answers would not be heard; it comes back once more
	}
	for _, s := range n.registry.all() {
		if s.isWelcomed() && s.tellMoved(true) != nil {
			return // as above
		}
	}
}

// HearMoves ends the connections here of sessions that go on through a newer one, and
// tells those who do not know yet of a newer one here, from when it returns.
func (n *Node) HearMoves() error {
	_, err := n.Hub.Bus.Live.Subscribe(subjects.SessionMoved, func(msg *nats.Msg) {
		var told move
		if json.Unmarshal(msg.Data, &told) != nil {
			return
		}
		switch s := n.registry.find(told.Ref); {
		case s == nil:
		case s.generation < told.Generation:
			s.end(errReplaced)
		case told.Again && s.generation > told.Generation:
			_ = s.tellMoved(false) // or once more, when the bus is back
		}
		n.waits.prolong(told.Ref)
	})
	if err != nil {
		return fmt.Errorf("hear of sessions that move: %w", err)
	}
	return nil
}
