package chat

import (
	"testing"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects/topology/bustest"
)

// What a stream has lost is decided on no more, even when it has grown since to
// where it was.
func TestALostTailIsForgotten(t *testing.T) {
	t.Parallel()
	for name, posts := range map[string]int{"shorter": 0, "as long": 1, "longer": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := bustest.Start(t)
			estest.Replica(t, bus, Run)
			caller := estest.NewCaller(t, bus)
			caller.Do(opening("luis"))
			bus.Kill(0)
			saved := bus.Save(t, 0)
			bus.Restart(t, 0)
			if _, err := insist(t.Context(), caller, call("ana", "invite", "i", chat.Invite{User: "eve"})); err != nil {
				t.Fatal(err)
			}
			if _, err := insist(t.Context(), caller, call("eve", "post", "p", chat.Post{Text: "hola"})); err != nil {
				t.Fatal(err)
			}
			bus.Kill(0)
			bus.Restore(t, 0, saved)
			bus.Restart(t, 0)
			for i := range posts {
				if _, err := insist(t.Context(), caller, call("luis", "post", string(rune('a'+i)), chat.Post{Text: "hola"})); err != nil {
					t.Fatal(err)
				}
			}
			_, err := insist(t.Context(), caller, call("eve", "invite", "i2", chat.Invite{User: "otto"}))
			if schemas.RefusalOf(err).Code != schemas.Forbidden {
				t.Errorf("who was invited in a past that is gone: %v", err)
			}
		})
	}
}
