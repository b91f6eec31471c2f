package browser

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/tests/kit"
)

// limit is far above what the scenario needs; it ends a scenario that hangs.
const limit = 8 * time.Minute

func TestBrowser(t *testing.T) {
	t.Parallel()
	play(t, "scenario.mjs")
}

func TestUnderAPath(t *testing.T) {
	t.Parallel()
	play(t, "path.mjs")
}

func TestOrder(t *testing.T) {
	t.Parallel()
	play(t, "order.mjs")
}

// TestSnippets runs what the README and the start page tell people to copy.
func TestSnippets(t *testing.T) {
	t.Parallel()
	readme, err := filepath.Abs("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	play(t, "snippets.mjs", readme)
}

// play runs a script against a system of its own, whose origin is the first argument.
func play(t *testing.T, script string, arguments ...string) {
	t.Helper()
	need(t)
	s := kit.NewStage(t, kit.Config{Limit: limit, Dev: true})
	cfg := stack.Config{}
	cfg.Limits.Grace = 20 * time.Second // loading a page may take the default where a machine is busy
	origin := "http://" + s.Start(cfg).HTTPAddr()
	scenario := exec.CommandContext(s.Ctx, "node", append([]string{script, origin}, arguments...)...)
	scenario.Env = append(os.Environ(), "CHROMIUM="+kit.Chromium())
	scenario.Cancel = func() error { return scenario.Process.Signal(syscall.SIGTERM) } // so that it ends Chromium
	scenario.WaitDelay = 10 * time.Second
	told, tell := io.Pipe()
	scenario.Stdout, scenario.Stderr = tell, tell
	logged := make(chan struct{})
	go func() {
		defer close(logged)
		for lines := bufio.NewScanner(told); lines.Scan(); {
			t.Log(lines.Text())
		}
	}()
	err := scenario.Run()
	_ = tell.Close() // never fails
	<-logged
	if err != nil {
		t.Errorf("%s: %v", script, errors.Join(err, context.Cause(s.Ctx)))
	}
}

// need ends the test when something that it needs from outside is missing.
func need(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser is slow")
	}
	if err := kit.LookPath(t, kit.Chromium(), "node"); err != nil {
		t.Skipf("%v; name a browser in CHROMIUM", err)
	}
	const library = "node_modules/playwright-core"
	if _, err := os.Stat(library); err != nil && os.Getenv("LATIDO_BROWSER") == "required" {
		t.Fatalf("no %s: npm ci --prefix tests/e2e/browser", library)
	} else if err != nil {
		t.Skipf("no %s: npm ci --prefix tests/e2e/browser", library)
	}
}
