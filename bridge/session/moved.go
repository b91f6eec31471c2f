package session

import (
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
)

// move is what bridges tell one another when a session comes back: the connection of
// this generation speaks for it from now on.
type move struct {
	Ref        string `json:"ref"`
	Generation uint64 `json:"generation"` // as in package seat
}

// tellMoved has every other connection of the session end, wherever it is: one that
// the client has given up may still bring what was sent on it, and must not act for
// the session any more. While the bus is away nobody hears it; then the older one
// ends when the newer one takes its seat.
func (s *session) tellMoved() {
	if told, err := json.Marshal(move{s.ref, s.generation}); err == nil {
		_ = s.node.Hub.Bus.Publish.Publish(subjects.SessionMoved, told) // as above
	}
}

// HearMoves ends the connections here of sessions that go on through a newer one,
// from when it returns.
func (n *Node) HearMoves() error {
	_, err := n.Hub.Bus.Live.Subscribe(subjects.SessionMoved, func(msg *nats.Msg) {
		var told move
		if json.Unmarshal(msg.Data, &told) != nil {
			return
		}
		if s := n.registry.find(told.Ref); s != nil && s.generation < told.Generation {
			s.end(errReplaced) // its seats wait for the newer one to take them
		}
	})
	if err != nil {
		return fmt.Errorf("hear of sessions that move: %w", err)
	}
	return nil
}
