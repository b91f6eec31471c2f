package soak

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/tests/kit"
)

// tab is a page in a real browser, behind another one: hidden, with its timers
// slowed down as browsers do. The client on it is our own.
type tab struct {
	process *exec.Cmd
	tell    io.WriteCloser
	told    *bufio.Scanner
	report  tabReport
}

// tabReport is what the page says of itself.
type tabReport struct {
	Hidden bool            // it was, all the time
	Timers int             // how often a timer of a tenth of a second went off
	Lived  float64         // for how many seconds
	States []string        // of the connection
	After  uint64          // the position of its subscription
	Events []*bridge.Event // of the plaza
}

// openTab opens the page, and returns when it follows the plaza and is shown on
// the radio. Without a browser there is none, unless one is required.
func (s *stage) openTab(user string) *tab {
	s.T.Helper()
	err := kit.LookPath(s.T, kit.Chromium(), "node")
	if err != nil {
		s.T.Logf("no hidden tab: %v", err)
		return nil
	}
	t := &tab{process: exec.CommandContext(s.Ctx, "node", "hidden.mjs", "http://"+s.Address(), s.Secret.TokenFor(kit.Identity{User: user}, 2*time.Hour), plaza, radio)}
	t.process.Env = append(os.Environ(), "CHROMIUM="+kit.Chromium())
	t.process.Stderr = s.T.Output()
	t.process.Cancel = func() error { return t.process.Process.Signal(syscall.SIGTERM) } // so that it ends the browser
	t.process.WaitDelay = 10 * time.Second
	t.tell, err = t.process.StdinPipe()
	s.Must(err)
	told, err := t.process.StdoutPipe()
	s.Must(err)
	t.told = bufio.NewScanner(told)
	t.told.Buffer(nil, 64<<20)
	s.Must(t.process.Start())
	s.T.Cleanup(func() { _ = t.tell.Close(); _ = t.process.Wait() })
	if !t.told.Scan() || t.told.Text() != "ready" {
		s.T.Fatalf("the tab is not ready: %q, %v", t.told.Text(), t.told.Err())
	}
	return t
}

// finish asks the page for its report once it has read to the end.
func (t *tab) finish(s *stage, upTo uint64) {
	s.T.Helper()
	if t == nil {
		return
	}
	_, err := fmt.Fprintln(t.tell, upTo)
	s.Must(err)
	if !t.told.Scan() {
		s.T.Fatalf("the tab says nothing: %v", t.told.Err())
	}
	s.Must(json.Unmarshal(t.told.Bytes(), &t.report))
	if !t.report.Hidden || !slices.Equal(t.report.States, []string{"connected"}) {
		s.T.Errorf("tab: hidden %v, its connection was %v", t.report.Hidden, t.report.States)
	}
	s.T.Logf("tab: a timer of 0.1 s went off %d times in %.0f s", t.report.Timers, t.report.Lived)
}

func (t *tab) log() kit.Log {
	log := kit.Log{User: "tab", Channel: plaza}
	if t == nil {
		log.Channel = "" // nothing is owed
		return log
	}
	log.After = t.report.After
	for _, event := range t.report.Events {
		event.Channel = plaza
		log.Receptions = append(log.Receptions, kit.Reception{Event: event})
	}
	return log
}
