package main

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const secret = "0123456789abcdef0123456789abcdef"

func checked(tb testing.TB, args ...string) map[string]any {
	tb.Helper()
	code, stdout, stderr := run(tb, append([]string{"check"}, args...)...)
	if code != 0 {
		tb.Fatalf("exit code %d: %s", code, stderr)
	}
	settings := make(map[string]any)
	if err := yaml.Unmarshal([]byte(stdout), &settings); err != nil {
		tb.Fatalf("%v in\n%s", err, stdout)
	}
	return settings
}

// Not parallel: variables are the process's.
func TestFlagBeforeVariableBeforeFile(t *testing.T) {
	path := file(t, "http: 127.0.0.1:1\nnode: file\ndrain: 3s\nreplicas: 1\norigins: [https://a.example, https://b.example]\n")
	t.Setenv("LATIDO_CONFIG", path)
	t.Setenv("LATIDO_HTTP", "127.0.0.1:2")
	t.Setenv("LATIDO_NODE", "variable")
	t.Setenv("LATIDO_NATS_LISTEN", "")
	got := checked(t, "--node=flag")
	for key, want := range map[string]any{"node": "flag", "http": "127.0.0.1:2", "drain": "3s", "data": "./latido-data"} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if origins, _ := got["origins"].([]any); len(origins) != 2 {
		t.Errorf("origins %v", got["origins"])
	}
}

func TestCheckHidesSecrets(t *testing.T) {
	t.Parallel()
	_, stdout, stderr := run(t, "check", "--jwt-secret", secret, "--nats-url=nats://ana:hunter2@127.0.0.1:4222", "--nats-user=ana", "--nats-password=hunter2")
	for _, hidden := range []string{secret, "hunter2"} {
		if strings.Contains(stdout+stderr, hidden) {
			t.Errorf("%q can be read in\n%s%s", hidden, stdout, stderr)
		}
	}
	if !strings.Contains(stdout, masked) {
		t.Errorf("nothing says that a secret is set:\n%s", stdout)
	}
}

func TestCheckPrintsAFileThatMeansTheSame(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := run(t, "check", "--sync=90s", "--log-level=debug", "--origins=https://a.example", "--replicas=3", "--nats-url=nats://127.0.0.1:4222")
	if code != 0 {
		t.Fatal(stderr)
	}
	_, again, stderr := run(t, "check", "--config", file(t, stdout))
	if again != stdout {
		t.Errorf("got\n%s%s\nwant\n%s", again, stderr, stdout)
	}
}
