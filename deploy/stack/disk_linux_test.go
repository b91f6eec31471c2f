//go:build !race

// Not under the race detector: nats-server enables JetStream anew without the lock
// under which its API, which is asked meanwhile, reads what it sets.

package stack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// A disk that was full takes again by itself when something is freed. Whoever
// published meanwhile was told why, and nothing acknowledged is lost.
func TestADiskThatWasFull(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=32m"); err != nil {
		t.Skip("only who may mount can have a small disk:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	cfg := config(t)
	cfg.Data, cfg.Kinds, cfg.Health = filepath.Join(folder, "data"), []string{"orders:durable"}, address(bustest.FreePorts(t, 1)[0])
	running := start(t, cfg)
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	stored := uint64(0)
	text := strings.Repeat("x", 40_000)
	publish := func() int {
		status, _ := call(t, running.HTTPAddr(), http.MethodPost, "/api/channels/orders%3A1/events", fmt.Sprintf(`{"event":"e","data":%q}`, text))
		if status == http.StatusOK {
			stored++
		}
		return status
	}
	for status := http.StatusOK; status != http.StatusInsufficientStorage; status = publish() {
	}
	await(t, "readiness to say why", func() bool {
		status, body := call(t, running.HTTPAddr(), http.MethodGet, "/readyz", "")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "the disk is full")
	})
	await(t, "the page of the process to say the same", func() bool {
		status, text := page(t, cfg.Health, "/readyz")
		_, metrics := page(t, cfg.Health, "/metrics")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "the disk is full") && strings.Contains(metrics, "\nlatido_ready 0\n")
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	await(t, "it to be ready again", func() bool {
		status, _ := call(t, running.HTTPAddr(), http.MethodGet, "/readyz", "")
		return status == http.StatusOK
	})
	if status := publish(); status != http.StatusOK {
		t.Errorf("then answered %d", status)
	}
	connection, err := nats.Connect(running.NATSURL(), nats.UserInfo("tests", "password"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	js, err := jetstream.New(connection, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subjects.StreamApp)
	if err != nil {
		t.Fatal(err)
	}
	if kept := stream.CachedInfo().State.Msgs; kept < stored {
		t.Errorf("%d of %d acknowledged events are kept", kept, stored)
	}
}

// A server of its own says nothing when its disk is full. Whoever publishes to it or
// commands is told all the same.
func TestADiskOfAnotherServer(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=32m"); err != nil {
		t.Skip("only who may mount can have a small disk:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	port := bustest.FreePorts(t, 1)[0]
	serve(t, &server.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: filepath.Join(folder, "data"), JetStreamMaxStore: 1 << 30, NoLog: true, NoSigs: true,
	})
	cfg := config(t)
	cfg.NATSURL, cfg.NATSUser, cfg.NATSPassword, cfg.Kinds = "nats://"+address(port), "", "", []string{"orders:durable"}
	running := start(t, cfg)
	text := strings.Repeat("x", 15_000)
	publish := func() int {
		status, _ := call(t, running.HTTPAddr(), http.MethodPost, "/api/channels/orders%3A1/events", fmt.Sprintf(`{"event":"e","data":%q}`, text))
		return status
	}
	command := func(name, data string) int {
		status, _ := call(t, running.HTTPAddr(), http.MethodPost, "/api/channels/room%3A1/commands/"+name, `{"data":`+data+`}`)
		return status
	}
	if status := command("open", `{"members":[]}`); status != http.StatusOK {
		t.Fatalf("open answered %d", status)
	}
	if err := os.WriteFile(filepath.Join(folder, "ballast"), make([]byte, 32<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	for status := http.StatusOK; status != http.StatusInsufficientStorage; status = publish() {
		if status != http.StatusOK {
			t.Fatalf("a publish is answered %d", status)
		}
	}
	status := http.StatusOK
	for status == http.StatusOK { // what is left of its last page is still written
		status = command("post", fmt.Sprintf(`{"text":%q}`, text[:2000]))
	}
	if status != http.StatusInsufficientStorage {
		t.Errorf("a command is answered %d", status)
	}
}

// call makes a request as a user, and returns the answer's status and body.
func call(t *testing.T, address, method, path, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+address+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+proof("ana", "client"))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// A disk that is full at the start is waited for, and does not narrow what may be
// stored later.
func TestAStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := unix.Mount("tmpfs", folder, "tmpfs", 0, "size=24m"); err != nil {
		t.Skip("only who may mount can have a small disk:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(folder, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	cfg := config(t)
	cfg.Data, cfg.Health = filepath.Join(folder, "data"), address(bustest.FreePorts(t, 1)[0])
	before, err := stack.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(folder, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 24<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	started := make(chan *stack.Stack, 1)
	go func() {
		running, err := stack.Start(context.WithoutCancel(t.Context()), cfg)
		if err != nil {
			t.Error(err)
		}
		started <- running
	}()
	await(t, "the page to say why", func() bool {
		_, text := page(t, cfg.Health, "/readyz")
		return text == "starting: the disk is full\n"
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	running := <-started
	if running == nil {
		return
	}
	t.Cleanup(func() {
		if err := running.Close(); err != nil {
			t.Error(err)
		}
	})
	await(t, "it to be ready", func() bool {
		status, _ := page(t, cfg.Health, "/readyz")
		return status == http.StatusOK
	})
	accepted(t, open(t, running.NATSURL(), "freed"))
}
