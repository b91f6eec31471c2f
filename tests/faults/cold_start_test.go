package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/kit"
)

// TestColdStart starts three NATS servers that never ran and every part, each a
// process, at the same moment. None of them exits, and soon after the servers have
// elected their leader the system serves.
func TestColdStart(t *testing.T) {
	t.Parallel()
	var slowest time.Duration
	for round := range *rounds {
		slowest = max(slowest, coldStart(t, round))
	}
	table.add(row{
		fault: "cold start", did: fmt.Sprintf("3 servers and 5 parts at once, %d times", *rounds),
		back: slowest, note: "from the election to the first stored fact",
	})
}

func coldStart(t *testing.T, round int) time.Duration {
	t.Helper()
	bus, secret := bustest.Cold(t), kit.Secret(bytes.Repeat([]byte("faults "), 8))
	whole, err := stack.Config{}.Effective()
	if err != nil {
		t.Fatal(err)
	}
	parts := make(map[string]*kit.Process)
	for _, part := range whole.Parts {
		parts[part] = kit.Launch(t, kit.Program{
			Node: fmt.Sprint(part, round), Arguments: []string{part, "--nats-url", bus.URL(), "--jwt-secret", string(secret), "--replicas", "3"},
		})
	}
	bus.Begin(t)
	for !bus.Led() {
		kit.Wait(t.Context(), pause)
	}
	led := time.Now()
	for _, p := range parts {
		p.Serves(t)
	}
	token := secret.Token(kit.Identity{User: "ana"})
	for !opened(t, parts["bridge"].HTTP, token) {
		kit.Wait(t.Context(), pause)
	}
	serving := time.Since(led)
	for name, p := range parts {
		select {
		case <-p.Ended:
			t.Errorf("%s has exited", name)
		default:
		}
		p.Kill()
	}
	return serving
}

// opened reports whether a room could be opened.
func opened(t *testing.T, address, token string) bool {
	t.Helper()
	answer, err := kit.Ask(t.Context(), address, kit.Request{
		Method: http.MethodPost, Path: "/api/channels/room:first/commands/open", Token: token,
		Body: `{"key":"first","data":{"members":["luis"]}}`, Header: map[string]string{"Content-Type": "application/json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status == http.StatusOK
}
