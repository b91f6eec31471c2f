// Command latido runs Latido: all of it in one process, or the parts that are
// named. It reads flags, LATIDO_* variables and a YAML file into one
// stack.Config; what happens then is the stack's business.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	_ "time/tzdata" // weekly plans name time zones, and the image has none of its own

	"github.com/alecthomas/kong"

	"github.com/latido/latido/deploy/stack"
)

// Exit codes beside 0.
const (
	exitFailure = 1 // something outside refused: a port, a server, a folder
	exitUsage   = 2 // a flag, variable or file says something that cannot work
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the first signal has begun the shutdown, the next one kills the process.
	context.AfterFunc(ctx, stop)
	program := Main{Args: os.Args[1:], Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(program.Run(ctx))
}

// Main is one run of the program, so that a test can do what a shell does.
type Main struct {
	Args           []string
	Stdout, Stderr io.Writer
	// Ready is called when the stack serves; nil is fine.
	Ready func(*stack.Stack)
}

// Run does what the arguments say until that is done or ctx ends, and returns
// the exit code. Whatever goes wrong is one line on Stderr.
func (m Main) Run(ctx context.Context) int {
	m.Stderr = &shared{to: m.Stderr}
	err := m.run(ctx)
	switch {
	case err == nil, errors.Is(err, errAnswered):
		return 0
	case usage(err):
		fmt.Fprintf(m.Stderr, "latido: %s (latido --help explains every setting)\n", oneLine(err))
		return exitUsage
	default:
		fmt.Fprintf(m.Stderr, "latido: %s\n", oneLine(err))
		return exitFailure
	}
}

func (m Main) run(ctx context.Context) error {
	var line commandLine
	parsed, err := line.parse(m.Args, m.Stdout, m.Stderr)
	if err != nil {
		return err
	}
	cfg := line.config(m.Stderr)
	if parsed.Selected().Name == "check" {
		return check(m.Stdout, parsed.Model, cfg)
	}
	running, err := stack.Start(ctx, cfg)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while starting
		}
		return err
	}
	line.announce(m.Stderr, running)
	told := make(chan struct{})
	untold := context.AfterFunc(ctx, func() {
		defer close(told)
		fmt.Fprintf(m.Stderr, "\nlatido: stopping, browsers are given %v to move; a second signal exits at once\n", running.Config().Drain)
	})
	if m.Ready != nil {
		m.Ready(running)
	}
	err = running.Wait()
	if !untold() {
		<-told
	}
	return err
}

func usage(err error) bool {
	_, unparsable := errors.AsType[*kong.ParseError](err)
	_, unusable := errors.AsType[*stack.SettingError](err)
	_, unreadable := errors.AsType[*fileError](err)
	return unparsable || unusable || unreadable
}

// shared lets the log and the program write to one stream, whole lines each.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(p)
}

// oneLine keeps an error of several parts readable in a log.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
}
