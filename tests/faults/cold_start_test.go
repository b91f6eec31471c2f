package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/e2e"
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
	bus, program, secret := bustest.Cold(t), build(t), string(bytes.Repeat([]byte("faults "), 8))
	whole, err := stack.Config{}.Effective()
	if err != nil {
		t.Fatal(err)
	}
	parts := make(map[string]*process)
	for _, part := range whole.Parts {
		parts[part] = launch(t, program, fmt.Sprint(part, round), nil, part, "--nats-url", bus.URL(), "--jwt-secret", secret, "--replicas", "3")
	}
	bus.Begin(t)
	for !bus.Led() {
		wait(t.Context(), pause)
	}
	led := time.Now()
	for _, p := range parts {
		p.serves(t)
	}
	token := e2e.Secret(secret).Token(e2e.Identity{User: "ana"}, time.Hour)
	for !opened(t, parts["bridge"].http, token) {
		wait(t.Context(), pause)
	}
	serving := time.Since(led)
	for name, p := range parts {
		select {
		case <-p.ended:
			t.Errorf("%s has exited", name)
		default:
		}
		p.kill()
	}
	return serving
}

// opened reports whether a room could be opened.
func opened(t *testing.T, address, token string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/api/channels/room:first/commands/open",
		strings.NewReader(`{"key":"first","data":{"members":["luis"]}}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // only its status matters
	return response.StatusCode == http.StatusOK
}
