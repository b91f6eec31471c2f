package presence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/deploy/stack"
)

var secret = bytes.Repeat([]byte("presence"), 8)

// patience bounds waits for what must happen, so that a failing test ends.
const patience = 20 * time.Second

// run runs a whole system until the test ends.
func run(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	cfg.HTTP, cfg.NATSListen, cfg.Secret, cfg.Drain = "127.0.0.1:0", "127.0.0.1:0", secret, time.Millisecond
	if cfg.Data == "" {
		cfg.Data = t.TempDir()
	}
	cfg.Log = slog.New(slog.DiscardHandler)
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
		"sub": user, "name": "Dr. " + user, "role": role, "picture": "https://pictures.example/" + user,
		"exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

type frame map[string]any

// browser is one connection.
type browser struct {
	t      *testing.T
	conn   *websocket.Conn
	frames []frame // read while something else was looked for
	last   int
}

// open connects; a device makes the user seen.
func open(t *testing.T, s *stack.Stack, user, device string) *browser {
	t.Helper()
	return openAs(t, s, user, "", device)
}

func openAs(t *testing.T, s *stack.Stack, user, role, device string) *browser {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+s.HTTPAddr()+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 22)
	b := &browser{t: t, conn: conn}
	t.Cleanup(func() { _ = conn.CloseNow() })
	hello := frame{"op": "hello", "token": token(t, user, role)}
	if device != "" {
		hello["device"] = frame{"kind": device}
	}
	b.send(hello)
	b.find("welcome", func(f frame) bool { return f["op"] == "welcome" })
	return b
}

func (b *browser) send(f frame) {
	b.t.Helper()
	text, err := json.Marshal(f)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.conn.Write(b.t.Context(), websocket.MessageText, text); err != nil {
		b.t.Fatal(err)
	}
}

// ask sends a request and returns its answer.
func (b *browser) ask(f frame) frame {
	b.t.Helper()
	b.last++
	f["id"] = b.last
	b.send(f)
	id := float64(b.last)
	return b.find("an answer", func(f frame) bool { return f["id"] == id })
}

// must asks for what must be granted, and returns the answer's data.
func (b *browser) must(f frame) any {
	b.t.Helper()
	answer := b.ask(f)
	if answer["op"] != "ok" {
		b.t.Fatalf("%v: %v", f, answer)
	}
	return answer["data"]
}

func (b *browser) call(channel, command string, data any) any {
	b.t.Helper()
	return b.must(frame{"op": "call", "channel": channel, "command": command, "data": data})
}

// find returns the first frame that fits, and keeps those before it.
func (b *browser) find(what string, fits func(frame) bool) frame {
	b.t.Helper()
	if at := slices.IndexFunc(b.frames, fits); at >= 0 {
		found := b.frames[at]
		b.frames = slices.Delete(b.frames, at, at+1)
		return found
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	for {
		_, text, err := b.conn.Read(ctx)
		if err != nil {
			b.t.Fatalf("waited for %s: %v; have %v", what, err, b.frames)
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			b.t.Fatal(err)
		}
		if fits(f) {
			return f
		}
		b.frames = append(b.frames, f)
	}
}

// await reads presence of a channel until the user's card fits; nil when the user
// has left.
func (b *browser) await(channel, user string, fits func(card map[string]any) bool) {
	b.t.Helper()
	b.find(fmt.Sprintf("%s on %s", user, channel), func(f frame) bool {
		if f["op"] != "presence" || f["channel"] != channel {
			return false
		}
		for _, part := range []string{"state", "joins", "updates", "leaves"} {
			members, _ := f[part].([]any)
			for _, member := range members {
				m, _ := member.(map[string]any)
				card, _ := m["meta"].(map[string]any)
				if m["user"] == user && fits(card) {
					return true
				}
			}
		}
		return false
	})
}

func status(want string) func(map[string]any) bool {
	return func(card map[string]any) bool { return card["status"] == want }
}

func left(card map[string]any) bool { return card == nil }

// request asks over HTTP and returns the status and the decoded answer.
func request(t *testing.T, s *stack.Stack, method, path, user, kind, body string) (int, frame) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.HTTPAddr()+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		request.Header.Set("Authorization", "Bearer "+token(t, user, ""))
	}
	request.Header.Set("Content-Type", kind)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer frame
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("%s %s: %s: %s", method, path, response.Status, text)
	}
	return response.StatusCode, answer
}
