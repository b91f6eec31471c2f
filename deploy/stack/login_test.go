package stack_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects/topology/bustest"
)

// private reads a file of a data folder that its owner alone may read.
func private(t *testing.T, folder, name string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("%s: %v", name, mode)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(content))
}

// Once tokens are demanded of browsers a login is demanded of the bus.
func TestEmbeddedServerDemandsALogin(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.NATSUser, cfg.NATSPassword = "", ""
	first, err := stack.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	password := private(t, cfg.Data, "nats-password")
	if login := first.NATSLogin(); login.User != "latido" || login.Password != password || login.File != filepath.Join(cfg.Data, "nats-password") {
		t.Errorf("the first start tells %+v", login)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, cfg)
	if login := again.NATSLogin(); login.Password != "" || private(t, cfg.Data, "nats-password") != password {
		t.Errorf("the second start tells %+v", login)
	}
	for name, option := range map[string]nats.Option{
		"nobody": nats.Name("nobody"), "another password": nats.UserInfo("latido", "guess"), "no password": nats.UserInfo("latido", ""),
	} {
		if connection, err := nats.Connect(again.NATSURL(), option); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("%s: %v %v", name, connection, err)
		}
	}
	connection, err := nats.Connect(again.NATSURL(), nats.UserInfo("latido", password))
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()

	joined := config(t)
	joined.NATSUser, joined.NATSPassword, joined.Data, joined.NATSURL = "", "", cfg.Data, again.NATSURL()
	joined.Parts = []string{"bridge"}
	var answer struct{ Seq uint64 }
	post(t, start(t, joined), "/api/channels/room:joined/commands/open", proof("ana", ""), `{"data":{"members":[]}}`, &answer)
	joined.Data = t.TempDir()
	if _, err := stack.Start(t.Context(), joined); !errors.Is(err, nats.ErrAuthorization) || !strings.Contains(err.Error(), "--data") {
		t.Errorf("with another folder: %v", err)
	}
}

func TestDevModeDemandsNoLogin(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Secret, cfg.NATSUser, cfg.NATSPassword = nil, "", ""
	running := start(t, cfg)
	connection, err := nats.Connect(running.NATSURL())
	if err != nil {
		t.Fatal(err)
	}
	connection.Close()
	if _, err := os.Stat(filepath.Join(cfg.Data, "nats-password")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a password without need: %v", err)
	}
	if running.NATSLogin() != (stack.Login{}) {
		t.Errorf("told: %+v", running.NATSLogin())
	}
}

// devToken is a token of a stack in dev mode.
func devToken(t *testing.T, s *stack.Stack) string {
	t.Helper()
	var dev struct{ Token string }
	post(t, s, "/dev/token", "", `{"user":"ana"}`, &dev)
	return dev.Token
}

// askThrough calls a service through a bridge and returns the code of its refusal, 0 for none.
func askThrough(t *testing.T, s *stack.Stack, token string) (code int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTPAddr()+"/api/users/ana/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var refusal struct{ Code int }
	if err := json.Unmarshal(text, &refusal); err != nil {
		t.Fatalf("%s: %s", response.Status, text)
	}
	return refusal.Code
}

// Processes in dev mode that are given one data folder take one another's tokens,
// whoever made the folder and however many start at once; others do not, and say
// what does not fit.
func TestDevModeSharesASecretByTheFolder(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	folder := t.TempDir()
	dev := func(data string, parts ...string) stack.Config {
		cfg := config(t)
		cfg.Secret, cfg.Data, cfg.NATSURL, cfg.Parts = nil, data, bus.URL(), parts
		return cfg
	}
	stacks := make([]*stack.Stack, 4)
	var starting sync.WaitGroup
	for i := range stacks {
		parts := []string{"bridge"}
		if i == 0 {
			parts = append(parts, services()...)
		}
		starting.Go(func() {
			var err error
			if stacks[i], err = stack.Start(t.Context(), dev(folder, parts...)); err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = stacks[i].Close() })
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	private(t, folder, "dev-secret")
	for _, from := range stacks {
		for _, to := range stacks {
			if code := askThrough(t, to, devToken(t, from)); code != 0 {
				t.Errorf("refused: %d", code)
			}
		}
	}

	var log syncBuffer
	foreign := dev(t.TempDir(), "bridge")
	foreign.Log = slog.New(slog.NewTextHandler(&log, nil))
	other := start(t, foreign)
	if code := askThrough(t, other, devToken(t, stacks[0])); code != 4010 {
		t.Errorf("a token of another folder: %d", code)
	}
	if code := askThrough(t, other, devToken(t, other)); code != 4500 || !strings.Contains(log.String(), "--data") {
		t.Errorf("a bridge that does not fit the services: %d, logged %q", code, log.String())
	}
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
