package kit_test

import (
	"testing"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// The test in the package's comment.
func TestWhatIsSaidIsHeard(t *testing.T) {
	t.Parallel()
	s := kit.NewStage(t, kit.Config{})
	s.Start(stack.Config{})
	proxy := s.Proxy(s.Address())
	ana := s.Connect(kit.ClientConfig{Who: kit.Identity{User: "ana"}})
	luis := s.Connect(kit.ClientConfig{Who: kit.Identity{User: "luis"}, Bridges: []string{proxy.Addr()}})
	_, _, err := ana.Call(s.Ctx, "room:1", "open", chat.Open{Members: []string{"luis"}})
	s.Must(err)
	s.Must(luis.Follow(s.Ctx, "room:1", kit.FromFirst, true))
	proxy.Cut() // luis comes back by himself, once he can
	_, _, err = ana.Publish(s.Ctx, "room:1", "new_message", chat.Post{Text: "hola"})
	s.Must(err)
	proxy.Restore()
	_, verdict := s.Settle(subjects.StreamRoom)
	if verdict.Deliveries != 2 || luis.Tally().Connections != 2 {
		t.Errorf("%d deliveries on %d connections", verdict.Deliveries, luis.Tally().Connections)
	}
}
