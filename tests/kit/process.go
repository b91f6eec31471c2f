package kit

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

// Build makes the program, once for the same arguments of go build, and returns its
// path. A package that builds calls [RemovePrograms] when its tests are over.
func Build(t testing.TB, arguments ...string) (path string) {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.built == nil {
		folder, err := os.MkdirTemp("", "latido-kit-") //nolint:usetesting // it outlives the test that is first to need it
		if err != nil {
			t.Fatal(err)
		}
		programs.folder, programs.built = folder, map[string]string{}
	}
	key := strings.Join(arguments, " ")
	if path, done := programs.built[key]; done {
		return path
	}
	path = filepath.Join(programs.folder, fmt.Sprintf("latido%d", len(programs.built)))
	command := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, arguments...), "github.com/latido/latido/deploy/latido")...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	programs.built[key] = path
	return path
}

// RemovePrograms removes what was built.
func RemovePrograms() error {
	programs.Lock()
	defer programs.Unlock()
	return os.RemoveAll(programs.folder)
}

// Program says what a process runs.
type Program struct {
	Path        string // of the binary; "" is what Build makes
	Node        string
	Environment []string // beside the test's own
	Arguments   []string // beside the node, a free address and the form of the log
}

// Process is the program while it runs.
type Process struct {
	Node  string
	HTTP  string        // where clients connect, of a bridge that serves
	OS    *os.Process   // for signals
	Ready chan string   // tells HTTP, once
	Ended chan struct{} // closed when it has exited

	mu   sync.Mutex
	said []string // its last lines, for a test that fails
}

const lastLines = 40

// Launch starts a program, which is killed with the test.
func Launch(t testing.TB, program Program) *Process {
	t.Helper()
	if program.Path == "" {
		program.Path = Build(t)
	}
	command := exec.Command(program.Path, append(program.Arguments, "--node", program.Node, "--http", "127.0.0.1:0", "--log-format", "json")...)
	command.Env = append(os.Environ(), program.Environment...)
	lines, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &Process{Node: program.Node, Ready: make(chan string, 1), Ended: make(chan struct{})}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p.OS = command.Process
	go func() {
		p.listen(bufio.NewScanner(lines))
		_ = command.Wait() // it was killed
		close(p.Ended)
	}()
	t.Cleanup(func() { p.Kill(); p.confess(t) })
	return p
}

// Serves returns when the process serves.
func (p *Process) Serves(t testing.TB) {
	t.Helper()
	select {
	case p.HTTP = <-p.Ready:
	case <-p.Ended:
		t.Fatalf("%s did not start", p.Node)
	}
}

// Kill ends the process as kill -9 does, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.OS.Kill() // it may be gone already
	<-p.Ended
}

// listen reads the log; the line that says "ready" tells where the program serves.
func (p *Process) listen(lines *bufio.Scanner) {
	for lines.Scan() {
		p.mu.Lock()
		p.said = append(p.said[max(0, len(p.said)-lastLines):], lines.Text())
		p.mu.Unlock()
		var line struct{ Msg, HTTP string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			p.Ready <- line.HTTP
		}
	}
}

func (p *Process) confess(t testing.TB) {
	if t.Failed() {
		t.Logf("%s said at last:\n%s", p.Node, strings.Join(p.said, "\n"))
	}
}
