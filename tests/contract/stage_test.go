package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/deploy/stack"
)

var secret = bytes.Repeat([]byte("contract"), 8)

// run runs a whole system until the test ends.
func run(t *testing.T, change func(*stack.Config)) *stack.Stack {
	t.Helper()
	cfg := stack.Config{
		HTTP: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Data: t.TempDir(), Secret: secret,
		Drain: time.Millisecond, Sync: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	s, err := stack.Start(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, stack.ErrStopped) {
			t.Error(err)
		}
	})
	return s
}

func token(t *testing.T, user, role string) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "role": role, "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// answer is what the HTTP API says.
type answer struct {
	status int
	header http.Header
	body   map[string]any
	raw    string
}

// ask sends a request to the HTTP API, as ana unless the headers say otherwise.
func ask(t *testing.T, s *stack.Stack, method, path, body string, headers map[string]string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTPAddr()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token(t, "ana", "client"))
	for name, value := range headers {
		request.Header.Set(name, value)
		if name == "Host" {
			request.Host = value
		}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, raw: raw.String()}
	_ = json.Unmarshal(raw.Bytes(), &a.body) // a page is none
	return a
}

// allow lets pages of some origins connect.
func allow(origins ...string) func(*stack.Config) {
	return func(cfg *stack.Config) { cfg.Origins = origins }
}
