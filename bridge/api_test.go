package bridge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// request speaks to the HTTP API as a user and returns status and answer.
func request(t *testing.T, b *Bridge, bearer, method, path, body string) (int, message) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.Addr()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "bearer  "+bearer)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer message
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, answer
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	kind, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{kind}})
	b, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{kind}})
	bearer := token(t, b, "ana", "")
	const events = "/api/channels/log%3Aa%20b/events"
	for range 5 {
		status, answer := request(t, b, bearer, http.MethodPost, events, `{"event":"noted","data":{"n":1}}`)
		if status != http.StatusOK || answer.seq() == 0 {
			t.Fatalf("publish: %d %v", status, answer)
		}
	}
	status, answer := request(t, b, bearer, http.MethodGet, events+"?limit=3", "")
	if stored, _ := answer["events"].([]any); status != http.StatusOK || len(stored) != 3 {
		t.Errorf("the last 3: %d %v", status, answer)
	}
	epoch, _ := position(answer)
	status, answer = request(t, b, bearer, http.MethodGet, events+"?since=1&epoch="+epoch, "")
	if stored, _ := answer["events"].([]any); status != http.StatusOK || len(stored) != 4 {
		t.Errorf("since 1: %d %v", status, answer)
	}
	for path, want := range map[string]int{
		"/api/channels/room%3Anone/events":  http.StatusForbidden,
		"/api/channels/nokind%3A1/events":   http.StatusNotFound,
		"/api/channels/user%3Aeva/presence": http.StatusForbidden,
		events + "?limit=many":              http.StatusUnprocessableEntity,
	} {
		if status, answer := request(t, b, bearer, http.MethodGet, path, ""); status != want {
			t.Errorf("%s: %d %v, want %d", path, status, answer, want)
		}
	}
	if status, answer := request(t, b, "", http.MethodGet, events, ""); status != http.StatusUnauthorized || answer["code"] != 4010.0 {
		t.Errorf("without a token: %d %v", status, answer)
	}
	if status, answer := request(t, b, bearer, http.MethodPost, events, `not json`); status != http.StatusBadRequest || answer["code"] != 4000.0 {
		t.Errorf("not JSON: %d %v", status, answer)
	}
}
