package presence

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
)

// late are nodes when every wait is over, of which some are gone.
type late struct {
	everybody
	gone map[string]bool
}

func (l late) Keeps(node string) bool { return !l.gone[node] }

func (late) Over(at time.Time) bool { return at.Before(time.Now().Add(10 * time.Second)) }

// Whose node is there is waited for until that has written of the end, as bridges do.
func TestTheNodeEndsItsWaits(t *testing.T) {
	t.Parallel()
	nodes := late{gone: map[string]bool{}}
	v := newView(nodes, &counts{})
	key := subjects.PresenceKey("n", subjects.Channel{Kind: "app", ID: "1"}.Seat("ana", "r"))
	v.session(change{key: key, revision: 1, value: []byte(`{"user":"ana","ref":"r","grace":5}`)})
	for i, step := range []struct {
		do   func()
		here int
	}{
		{func() { v.expire(time.Now()) }, 1},
		{func() { nodes.gone["n"] = true; v.expire(time.Now()) }, 0},
		{func() {
			nodes.gone["n"] = false
			v.session(change{key: key, revision: 2, value: []byte(`{"user":"ana","ref":"r","grace":5}`)})
		}, 1},
		{func() { v.session(change{key: key, revision: 3, header: nats.Header{"KV-Operation": {"DEL"}}}) }, 0},
	} {
		if step.do(); len(v.person("ana").sessions) != step.here {
			t.Errorf("after step %d: %v", i, v.person("ana").sessions)
		}
	}
}
