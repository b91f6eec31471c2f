package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/latido/latido/deploy/stack"
)

// run does what a shell does and returns what it would see.
func run(tb testing.TB, args ...string) (code int, stdout, stderr string) {
	tb.Helper()
	var out, errs bytes.Buffer
	code = Main{Args: args, Stdout: &out, Stderr: &errs}.Run(tb.Context())
	return code, out.String(), errs.String()
}

// file writes a configuration file and returns its path.
func file(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "latido.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestRunServesUntilTold(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var out, errs bytes.Buffer
	program := Main{
		Args:   []string{"--http=127.0.0.1:0", "--nats-listen=127.0.0.1:0", "--drain=1ms", "--data", t.TempDir()},
		Stdout: &out, Stderr: &errs,
		Ready: func(running *stack.Stack) {
			connection, err := net.Dial("tcp", running.HTTPAddr())
			if err != nil {
				t.Error(err)
			} else {
				_ = connection.Close()
			}
			stop()
		},
	}
	if code := program.Run(ctx); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"http://127.0.0.1:", "ws://127.0.0.1:", "nats://127.0.0.1:", "dev mode", "Ctrl-C"} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("the banner lacks %q:\n%s", want, errs.String())
		}
	}
	if out.Len() > 0 {
		t.Errorf("stdout is for answers, got %q", out.String())
	}
}

func TestRunTakesPartsByName(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var errs bytes.Buffer
	program := Main{
		Args:   []string{"chat", "presence", "--nats-listen=127.0.0.1:0", "--data", t.TempDir(), "--log-format=json"},
		Stdout: &errs, Stderr: &errs,
		Ready: func(running *stack.Stack) {
			if parts := strings.Join(running.Config().Parts, " "); parts != "chat presence" || running.HTTPAddr() != "" {
				t.Errorf("runs %s, HTTP %q", parts, running.HTTPAddr())
			}
			stop()
		},
	}
	if code := program.Run(ctx); code != 0 {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestEveryRefusalIsOneLine(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown part":      {[]string{"chta"}, 2, `"chta"`},
		"unknown flag":      {[]string{"--htpp=x"}, 2, "--htpp"},
		"bad duration":      {[]string{"--drain=soon"}, 2, "--drain"},
		"bad sync":          {[]string{"--sync=never"}, 2, "--sync"},
		"bad level":         {[]string{"--log-level=loud"}, 2, "--log-level"},
		"bad address":       {[]string{"--http=8080"}, 2, "--http"},
		"open without keys": {[]string{"--http=0.0.0.0:8080"}, 2, "--jwt-secret"},
		"open bus":          {[]string{"chat", "--nats-listen=0.0.0.0:4222"}, 2, "--nats-listen"},
		"short secret":      {[]string{"--jwt-secret=hush"}, 2, "--jwt-secret"},
		"bad NATS URL":      {[]string{"--nats-url=mailto:x"}, 2, "--nats-url"},
		"no such file":      {[]string{"--config=/does/not/exist.yaml"}, 2, "no such file"},
		"unknown key":       {[]string{"--config", file(t, "htpp: 127.0.0.1:1\n")}, 2, `unknown key "htpp"`},
		"nested key":        {[]string{"--config", file(t, "http: {port: 1}\n")}, 2, `"http"`},
		"bad value in file": {[]string{"--config", file(t, "drain: soon\n")}, 2, "drain"},
		"not YAML":          {[]string{"--config", file(t, "http: [1\n}")}, 2, "YAML"},
		"a list, not a map": {[]string{"--config", file(t, "- http\n")}, 2, "YAML"},
		"port taken":        {[]string{"--nats-listen", taken.Addr().String(), "--data", t.TempDir()}, 1, "already in use"},
		"NATS away":         {[]string{"chat", "--nats-url=nats://127.0.0.1:1", "--nats-wait=1ms"}, 1, "no NATS server answers"},
		"no credentials":    {[]string{"chat", "--nats-url=nats://" + taken.Addr().String(), "--nats-creds=/does/not/exist"}, 1, "exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := run(t, test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) || stdout != "" {
				t.Errorf("exit code %d, stdout %q, stderr %q; want code %d and %q", code, stdout, stderr, test.code, test.says)
			}
			if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "latido: ") {
				t.Errorf("not one line: %q", stderr)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	code, help, _ := run(t, "--help")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"latido [<part> ...]", "latido check", "--nats-url", "$LATIDO_NATS_URL", "Tokens", "bridge, chat"} {
		if !strings.Contains(help, want) {
			t.Errorf("help lacks %q", want)
		}
	}
	if code, version, _ := run(t, "--version"); code != 0 || !strings.HasPrefix(version, "latido ") {
		t.Errorf("version: exit code %d, %q", code, version)
	}
}

// The image has no zone data, so the program brings it. What is compiled in is
// only seen where the machine has none: therefore the question is asked of the
// linker.
func TestZonesAreCompiledIn(t *testing.T) {
	t.Parallel()
	listed, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Fields(string(listed)), "time/tzdata") {
		t.Error("weekly plans will not know Europe/Madrid in the image")
	}
}
