package stack_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// page reads a page of a process, "" while nobody serves it.
func page(tb testing.TB, address, path string) (status int, text string) {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// A service may start before its bus: it says what it waits for, serves once that
// is there, and says again when it is gone.
func TestAServiceSaysHowItIs(t *testing.T) {
	t.Parallel()
	ports := bustest.FreePorts(t, 2)
	cfg := config(t)
	cfg.Parts, cfg.NATSURL, cfg.Health = []string{"chat"}, fmt.Sprintf("nats://127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	startLate(t, cfg)
	says := func(status int, text string) {
		t.Helper()
		await(t, text, func() bool {
			got, said := page(t, cfg.Health, "/readyz")
			return got == status && strings.Contains(said, text)
		})
	}
	says(http.StatusServiceUnavailable, "starting: connect to nats://127.0.0.1:")
	if status, _ := page(t, cfg.Health, "/healthz"); status != http.StatusOK {
		t.Errorf("not alive: %d", status)
	}
	options := &server.Options{Host: "127.0.0.1", Port: ports[0], JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true}
	first, err := server.NewServer(options.Clone())
	if err != nil {
		t.Fatal(err)
	}
	first.Start()
	says(http.StatusOK, "ready")
	if status, text := page(t, cfg.Health, "/metrics"); status != http.StatusOK || !strings.Contains(text, "\nlatido_ready 1\n") {
		t.Errorf("metrics: %d, %d bytes", status, len(text))
	}
	first.Shutdown()
	first.WaitForShutdown()
	says(http.StatusServiceUnavailable, "NATS is away")
	serve(t, options)
	says(http.StatusOK, "ready")
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// One server of three can store nothing: every part says so.
func TestWithoutAQuorumNobodyIsReady(t *testing.T) {
	t.Parallel()
	bus := bustest.StartCluster(t)
	var pages []string
	for _, part := range []string{"bridge", "chat", "presence", "topology"} {
		cfg := config(t)
		cfg.Parts, cfg.NATSURL, cfg.Health, cfg.Replicas = []string{part}, bus.URL(), address(bustest.FreePorts(t, 1)[0]), 3
		start(t, cfg)
		pages = append(pages, cfg.Health)
	}
	everybody := func(status int) {
		t.Helper()
		for _, health := range pages {
			await(t, fmt.Sprint(status), func() bool {
				got, _ := page(t, health, "/readyz")
				return got == status
			})
		}
	}
	everybody(http.StatusOK)
	bus.Kill(0)
	bus.Kill(1)
	await(t, "the third to know that it is alone", func() bool {
		return !bus.Led() && !slices.ContainsFunc(topology.Names(topology.Config{}), func(name string) bool { return bus.Leader(name) >= 0 })
	})
	everybody(http.StatusServiceUnavailable)
	for range 3 { // it was not by chance that no leader answered in time
		for _, health := range pages {
			if status, text := page(t, health, "/readyz"); status != http.StatusServiceUnavailable {
				t.Errorf("then %d: %s", status, text)
			}
		}
	}
	bus.Restart(t, 0)
	bus.Restart(t, 1)
	everybody(http.StatusOK)
}

// Whoever cannot verify a token takes no command.
func TestWithoutKeysNobodyIsReady(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	cfg := config(t)
	cfg.Secret, cfg.JWKSURL = nil, "http://127.0.0.1:1/keys"
	cfg.Parts, cfg.NATSURL, cfg.Health = []string{"chat"}, bus.URL(), address(bustest.FreePorts(t, 1)[0])
	start(t, cfg)
	if status, text := page(t, cfg.Health, "/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "keys") {
		t.Errorf("%d: %s", status, text)
	}
}
