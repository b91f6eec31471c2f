package session

import (
	"encoding/json"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// eventTyping is the live event by which a user is seen to type. Its data is {}
// or {"typing":true} at the beginning, {"typing":false} at the end.
const eventTyping = "typing"

// typingTime is how long a user types who does not say so again.
const typingTime = 3 * time.Second

// typed ends for its user what they began to type, unless they say so again
// before: whoever closes the page in the middle of a word must not type for ever.
func (s *session) typed(by Sender, name subjects.Channel, kind subjects.Kind, r wire.Publish) {
	var data struct {
		Typing *bool `json:"typing"`
	}
	_ = json.Unmarshal(r.Data, &data) // its schema has seen to it
	began := data.Typing == nil || *data.Typing
	s.mu.Lock()
	defer s.mu.Unlock()
	if timer := s.typing[r.Channel]; timer != nil {
		timer.Stop()
		delete(s.typing, r.Channel)
	}
	if !began {
		return
	}
	if s.typing == nil {
		s.typing = make(map[string]*time.Timer)
	}
	end := wire.Publish{Channel: r.Channel, Event: eventTyping, Data: json.RawMessage(`{"typing":false}`)}
	var timer *time.Timer
	timer = time.AfterFunc(typingTime, func() {
		s.mu.Lock()
		current := s.typing[r.Channel] == timer
		if current {
			delete(s.typing, r.Channel)
		}
		s.mu.Unlock()
		if !current {
			return // said again at this moment
		}
		s.node.Broadcast(by, true, name, kind, end, func(uint64, error) {}) // it may be lost, like any live event
	})
	s.typing[r.Channel] = timer
}
