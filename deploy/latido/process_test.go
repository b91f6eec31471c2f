//go:build unix

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// asProcess makes the test binary be the program, so that signals and exit codes
// are those of a real process.
const asProcess = "LATIDO_TEST_AS_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process starts the program and returns when its banner is through.
func process(t *testing.T, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), asProcess+"=1")
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	reads(t, lines, "Ctrl-C stops")
	return command, lines
}

func reads(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	var seen []string
	for lines.Scan() {
		if seen = append(seen, lines.Text()); strings.Contains(lines.Text(), want) {
			return
		}
	}
	t.Fatalf("never said %q but\n%s", want, strings.Join(seen, "\n"))
}

func TestSignalsEndTheProcess(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			program, lines := process(t, "--http=127.0.0.1:0", "--nats-listen=127.0.0.1:0", "--drain=1ms", "--data", t.TempDir())
			if err := program.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			for lines.Scan() {
				if strings.Contains(lines.Text(), "goroutine ") {
					t.Error("a stack trace:", lines.Text())
				}
			}
			if err := program.Wait(); err != nil {
				t.Error("a drained process ends with 0:", err)
			}
		})
	}
}

func TestDataFolderIsHeldByOneProcess(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first, _ := process(t, "--http=127.0.0.1:0", "--nats-listen=127.0.0.1:0", "--data", folder)
	code, _, stderr := run(t, "--http=127.0.0.1:0", "--nats-listen=127.0.0.1:0", "--data", folder)
	if code != exitFailure || !strings.Contains(stderr, "in use by another process") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	// The lock dies with its holder, however that ends.
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, killed := errors.AsType[*exec.ExitError](first.Wait()); !killed {
		t.Error("not killed")
	}
	again, lines := process(t, "--http=127.0.0.1:0", "--nats-listen=127.0.0.1:0", "--drain=1ms", "--data", folder)
	if err := again.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to its end
	}
	if err := again.Wait(); err != nil {
		t.Error(err)
	}
}
