package bytes

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// reader holds the data that came to a reader, by the key of the event.
type reader struct {
	name string
	mu   sync.Mutex
	got  map[string]any
	gaps map[uint64]bool // sequences of the stored channel that were told as gaps
	ends map[string]chan struct{}
	bad  []string
}

func newReader(name string) *reader {
	r := &reader{name: name, got: make(map[string]any), gaps: make(map[uint64]bool), ends: make(map[string]chan struct{})}
	for _, channel := range []subjects.Channel{live, stored, room} {
		r.ends[channel.String()] = make(chan struct{})
	}
	return r
}

// end is the key of the last event of each channel.
const end = "end"

// line takes one line, which must be JSON by itself.
func (r *reader) line(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var event struct {
		Op, Channel, Key string
		Data, From, To   any
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&event); err != nil || !utf8.Valid(line) {
		r.bad = append(r.bad, fmt.Sprintf("%q: %v", line, err))
		return
	}
	if event.Op == "gap" {
		var from, to uint64
		if _, err := fmt.Sscan(fmt.Sprint(event.From, " ", event.To), &from, &to); err != nil {
			r.bad = append(r.bad, string(line))
		}
		for ; from <= to; from++ {
			r.gaps[from] = true
		}
		return
	}
	if event.Key == "" {
		return
	}
	if _, twice := r.got[event.Key]; twice {
		r.bad = append(r.bad, "came twice: "+string(line))
	}
	if event.Key == end+event.Channel {
		close(r.ends[event.Channel])
	}
	r.got[event.Key] = event.Data
}

func (r *reader) wait(ctx context.Context, t *testing.T) {
	t.Helper()
	for channel, reached := range r.ends {
		select {
		case <-reached:
		case <-ctx.Done():
			t.Errorf("%s did not come to the end of %s", r.name, channel)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, bad := range r.bad {
		t.Errorf("%s: %s", r.name, bad)
	}
}

// readSocket reads a socket: text frames only, each of lines that end at "\n".
func (s *system) readSocket() *reader {
	s.T.Helper()
	r, reading := newReader("the socket"), s.dial()
	ready := make(chan struct{})
	for i, channel := range []subjects.Channel{live, stored, room} {
		reading.Send(fmt.Sprintf(`{"id":%d,"op":"subscribe","channel":%q}`, i+1, channel))
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(s.T.Context()))
	var done sync.WaitGroup
	s.T.Cleanup(func() { stop(); done.Wait() })
	done.Go(func() {
		for answers := 0; ; {
			line, err := reading.Line(ctx)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				s.T.Errorf("the reader's socket was closed: %v", err)
				return
			}
			r.line(line)
			if bytes.Contains(line, []byte(`"op":"ok"`)) {
				if answers++; answers == 3 {
					close(ready)
				}
			}
		}
	})
	<-ready
	return r
}

// readByClient reads with the client, in Node. It returns nil where there is none.
func (s *system) readByClient() *reader {
	s.T.Helper()
	if err := kit.LookPath(s.T, "node"); err != nil {
		s.T.Log("the client is not tried: ", err)
		return nil
	}
	r := newReader("the client")
	ctx, stop := context.WithCancel(context.WithoutCancel(s.T.Context()))
	process := exec.CommandContext(ctx, "node", "--experimental-websocket", "reader.mjs", "http://"+s.Address(), s.token, live.String(), stored.String(), room.String())
	process.Stderr = os.Stderr
	output, err := process.StdoutPipe()
	if err != nil {
		s.T.Fatal(err)
	}
	if err := process.Start(); err != nil {
		s.T.Fatal(err)
	}
	ready := make(chan struct{})
	var done sync.WaitGroup
	s.T.Cleanup(func() {
		stop()
		done.Wait()
		_ = process.Wait() // it was ended
	})
	done.Go(func() { r.follow(output, ready) })
	<-ready
	return r
}

func (r *reader) follow(output io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		switch line := lines.Bytes(); {
		case bytes.Contains(line, []byte(`"ready":true`)):
			close(ready)
		case bytes.HasPrefix(line, []byte(`{"state":"subscribing"`)) && !bytes.Contains(line, []byte(`"reason":"subscribe"`)):
			r.mu.Lock()
			r.bad = append(r.bad, "its connection broke: "+string(line))
			r.mu.Unlock()
		default:
			r.line(line)
		}
	}
}

// readList reads the list of stored events, page by page.
func (s *system) readList(channel subjects.Channel, into *reader) {
	s.T.Helper()
	since := uint64(0)
	for {
		var page struct {
			Position struct {
				Seq uint64
			}
			Events []json.RawMessage
			Gaps   []struct{ From, To uint64 }
		}
		s.ask("GET", fmt.Sprintf("/api/channels/%s/events?since=%d&limit=100", url.PathEscape(channel.String()), since), "", &page)
		for _, event := range page.Events {
			into.line(append([]byte(`{"channel":"`+channel.String()+`",`), event[1:]...))
		}
		for _, gap := range page.Gaps {
			into.gaps[gap.From] = true
		}
		if since = page.Position.Seq; len(page.Events) == 0 {
			return
		}
	}
}
