package faults

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// programs are the binaries of this run, each built when first asked for.
var programs struct {
	sync.Mutex
	folder string
	built  map[string]string // by the arguments of the build
}

// build makes the program, once for the same arguments, and returns its path.
func build(tb testing.TB, arguments ...string) string {
	tb.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.built == nil {
		folder, err := os.MkdirTemp("", "latido-faults-") //nolint:usetesting // it outlives the test that is first to need it
		if err != nil {
			tb.Fatal(err)
		}
		programs.folder, programs.built = folder, map[string]string{}
	}
	key := strings.Join(arguments, " ")
	if path, done := programs.built[key]; done {
		return path
	}
	path := filepath.Join(programs.folder, fmt.Sprintf("latido%d", len(programs.built)))
	command := exec.CommandContext(tb.Context(), "go", append(append([]string{"build", "-o", path}, arguments...), "github.com/latido/latido/deploy/latido")...)
	if output, err := command.CombinedOutput(); err != nil {
		tb.Fatalf("build: %v\n%s", err, output)
	}
	programs.built[key] = path
	return path
}

// process is the program while it runs.
type process struct {
	node    string
	http    string // where peers connect, of a bridge
	command *exec.Cmd
	ready   chan string // tells http, once
	ended   chan struct{}

	mu   sync.Mutex
	said []string // its last lines, for a test that fails
}

const lastLines = 40

// run starts the program and returns when it serves. It is killed with the test.
func run(tb testing.TB, path, node string, environment []string, arguments ...string) *process {
	tb.Helper()
	p := launch(tb, path, node, environment, arguments...)
	p.serves(tb)
	return p
}

// launch starts the program. It is killed with the test.
func launch(tb testing.TB, path, node string, environment []string, arguments ...string) *process {
	tb.Helper()
	command := exec.Command(path, append(arguments, "--node", node, "--http", "127.0.0.1:0", "--log-format", "json")...)
	command.Env = append(os.Environ(), environment...)
	lines, err := command.StderrPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{node: node, command: command, ready: make(chan string, 1), ended: make(chan struct{})}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		p.listen(bufio.NewScanner(lines))
		_ = command.Wait() // it was killed
		close(p.ended)
	}()
	tb.Cleanup(func() { p.kill(); p.confess(tb) })
	return p
}

// serves returns when the program serves.
func (p *process) serves(tb testing.TB) {
	tb.Helper()
	select {
	case p.http = <-p.ready:
	case <-p.ended:
		tb.Fatalf("%s did not start", p.node)
	}
}

// listen reads the log; the line that says "ready" tells where the program serves.
func (p *process) listen(lines *bufio.Scanner) {
	for lines.Scan() {
		p.mu.Lock()
		p.said = append(p.said[max(0, len(p.said)-lastLines):], lines.Text())
		p.mu.Unlock()
		var line struct{ Msg, HTTP string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			p.ready <- line.HTTP
		}
	}
}

// kill ends the process as kill -9 does, and returns when it is gone.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may be gone already
	<-p.ended
}

func (p *process) confess(tb testing.TB) {
	if tb.Failed() {
		tb.Logf("%s said at last:\n%s", p.node, strings.Join(p.said, "\n"))
	}
}
