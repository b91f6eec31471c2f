package bridge

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// eventSource reads a stream as browsers do, WHATWG HTML section 9.2.6.
type eventSource struct {
	t        *testing.T
	raw      *raw
	response *http.Response
	body     *bufio.Reader
	last     string // id of the last event that was dispatched
	comments int
	retry    int
	queue    []message
}

// openStream asks for a stream, with headers that end in CRLF each.
func openStream(t *testing.T, b *Bridge, path, headers string) *eventSource {
	t.Helper()
	return connectRaw(t, b).openStream(b, path, headers)
}

func (r *raw) openStream(b *Bridge, path, headers string) *eventSource {
	r.t.Helper()
	r.write(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, b.Addr(), headers))
	response, err := http.ReadResponse(r.in, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return &eventSource{t: r.t, raw: r, response: response, body: bufio.NewReader(response.Body)}
}

// listen is openStream for ana with a token, who returns with the id of an event.
func listen(t *testing.T, b *Bridge, path, id string) *eventSource {
	t.Helper()
	headers := "Authorization: Bearer " + token(t, b, "ana", "") + "\r\n"
	if id != "" {
		headers += "Last-Event-ID: " + id + "\r\n"
	}
	s := openStream(t, b, path, headers)
	if s.response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(s.body)
		t.Fatalf("%s: %s %s", path, s.response.Status, body)
	}
	s.last = id
	return s
}

// refusal is what a stream that does not begin is told.
func (s *eventSource) refusal() message {
	s.t.Helper()
	var m message
	if err := json.NewDecoder(s.body).Decode(&m); err != nil {
		s.t.Fatalf("%s: %v", s.response.Status, err)
	}
	return m
}

// next is the next event; an error when the stream has ended.
func (s *eventSource) next() (message, error) {
	kind, data, id := "", "", s.last
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			return nil, err // what was not whole is not dispatched
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			s.last = id
			if data == "" {
				kind = ""
				continue
			}
			var m message
			if err := json.Unmarshal([]byte(data), &m); err != nil || m.op() != kind {
				s.t.Fatalf("event %q has data %q: %v", kind, data, err)
			}
			return m, nil
		case field == "":
			s.comments++
		case field == "event":
			kind = value
		case field == "data":
			data += value
		case field == "id":
			id = value
		case field == "retry":
			if s.retry, err = strconv.Atoi(value); err != nil {
				s.t.Fatal(err)
			}
		default:
			s.t.Fatalf("line %q", line)
		}
	}
}

// find returns the first event that fits, and keeps those before it for later.
func (s *eventSource) find(what string, fits func(message) bool) message {
	s.t.Helper()
	for i, m := range s.queue {
		if fits(m) {
			s.queue = append(s.queue[:i:i], s.queue[i+1:]...)
			return m
		}
	}
	for {
		m, err := s.next()
		if err != nil {
			s.t.Fatalf("waited for %s: %v; have %v", what, err, s.queue)
		}
		if fits(m) {
			return m
		}
		s.queue = append(s.queue, m)
	}
}

func (s *eventSource) expect(op string) message {
	s.t.Helper()
	return s.find(op, func(m message) bool { return m.op() == op })
}

// events reads n events of the room and returns their sequences.
func (s *eventSource) events(n int) []uint64 {
	s.t.Helper()
	sequences := make([]uint64, n)
	for i := range sequences {
		sequences[i] = s.find(fmt.Sprintf("event %d", i), func(m message) bool { return m.op() == "event" && m["channel"] == room }).seq()
	}
	return sequences
}

// begun waits until the stream has told an id.
func (s *eventSource) begun() {
	s.t.Helper()
	before := s.last
	for s.last == before {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		if id, found := strings.CutPrefix(line, "id: "); found {
			s.last = strings.TrimSpace(id)
		}
	}
}

// ended reads on to the end and returns what was told last.
func (s *eventSource) ended() (last message) {
	s.t.Helper()
	if err := s.raw.tcp.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for {
		m, err := s.next()
		if errors.Is(err, io.EOF) {
			return last
		}
		if err != nil {
			s.t.Fatalf("after %v: %v", last, err)
		}
		last = m
	}
}

func (s *eventSource) close() { _ = s.raw.tcp.Close() }
