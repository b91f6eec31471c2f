package soak

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/tests/e2e"
)

// ask makes an HTTP request and decodes the answer.
func (s *stage) ask(user, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.stack.HTTPAddr()+path, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+s.secret.Token(e2e.Identity{User: user}, time.Hour))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s: %w", method, path, response.Status, text, err)
	}
	return json.Unmarshal(text, answer)
}

// post publishes over HTTP, under a key.
func (s *stage) post(user, channel, event string, n int, data any) bool {
	key := fmt.Sprintf("%s-%d", user, n)
	var answer struct{ Seq uint64 }
	err := s.ask(user, http.MethodPost, "/api/channels/"+url.PathEscape(channel)+"/events", map[string]any{"event": event, "key": key, "data": data}, &answer)
	if !s.check(err) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, e2e.Sent{User: user, Channel: channel, Key: key, Seq: answer.Seq})
	return true
}

// reading is a reader over HTTP, which goes on from its position.
type reading struct {
	user, channel string
	position      *bridge.Position
	log           e2e.Log
}

type historyPage struct {
	Position bridge.Position
	Gap      *bridge.Gap
	Events   []*bridge.Event
}

// read takes one page, and says how much was on it.
func (r *reading) read(s *stage) (int, error) {
	query := url.Values{"limit": {"200"}}
	if r.position != nil {
		query.Set("since", strconv.FormatUint(r.position.Seq, 10))
		query.Set("epoch", r.position.Epoch)
	}
	var page historyPage
	path := "/api/channels/" + url.PathEscape(r.channel) + "/events?" + query.Encode()
	if err := s.ask(r.user, http.MethodGet, path, nil, &page); err != nil {
		return 0, err
	}
	if r.position == nil {
		r.log = e2e.Log{User: r.user, Channel: r.channel, After: page.Position.Seq}
		page.Events = nil
	}
	if page.Gap != nil {
		r.log.Gaps = append(r.log.Gaps, *page.Gap)
	}
	for _, event := range page.Events {
		event.Channel = r.channel
		r.log.Receptions = append(r.log.Receptions, e2e.Reception{Event: event})
	}
	r.position = &page.Position
	return len(page.Events), nil
}

// finish reads on to the end.
func (r *reading) finish(s *stage) {
	for {
		if n, err := r.read(s); !s.check(err) || n == 0 {
			return
		}
	}
}
