package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/tests/kit"
)

// ask makes an HTTP request and decodes the answer.
func (s *stage) ask(user, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(s.Ctx, 20*time.Second)
	defer cancel()
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	told, err := kit.Ask(ctx, s.Address(), kit.Request{
		Method: method, Path: path, Token: s.Secret.Token(kit.Identity{User: user}), Body: string(data),
		Header: map[string]string{"Content-Type": "application/json"},
	})
	if err != nil {
		return err
	}
	if told.Status != http.StatusOK {
		return fmt.Errorf("%s %s: %d: %s", method, path, told.Status, told.Raw)
	}
	return json.Unmarshal(told.Raw, answer)
}

// post publishes over HTTP, under a key.
func (s *stage) post(user, channel, event string, n int, data any) bool {
	key := fmt.Sprintf("%s-%d", user, n)
	var answer struct{ Seq uint64 }
	err := s.ask(user, http.MethodPost, "/api/channels/"+url.PathEscape(channel)+"/events", map[string]any{"event": event, "key": key, "data": data}, &answer)
	if !s.Check(err) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, kit.Sent{User: user, Channel: channel, Key: key, Seq: answer.Seq})
	return true
}

// reading is a reader over HTTP, which goes on from its position.
type reading struct {
	user, channel string
	position      *bridge.Position
	log           kit.Log
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
		r.log = kit.Log{User: r.user, Channel: r.channel, After: page.Position.Seq}
		page.Events = nil
	}
	if page.Gap != nil {
		r.log.Gaps = append(r.log.Gaps, *page.Gap)
	}
	for _, event := range page.Events {
		event.Channel = r.channel
		r.log.Receptions = append(r.log.Receptions, kit.Reception{Event: event})
	}
	r.position = &page.Position
	return len(page.Events), nil
}

// finish reads on to the end.
func (r *reading) finish(s *stage) {
	for {
		if n, err := r.read(s); !s.Check(err) || n == 0 {
			return
		}
	}
}
