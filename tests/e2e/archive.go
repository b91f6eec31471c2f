package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/latido/latido/schemas/bridge"
)

// Archive decodes stored events and keeps each distinct one once: a message to
// 300 clients is the same bytes 300 times, and a log of references to one copy
// is small and quick to compare.
type Archive struct {
	mu     sync.RWMutex
	events map[string]*bridge.Event
}

// NewArchive returns an empty archive for all clients of a run.
func NewArchive() *Archive { return &Archive{events: map[string]*bridge.Event{}} }

var eventPrefix = []byte(`{"op":"event"`)

// decode reads one notice. Equal bytes of a stored event give the same pointer.
func (a *Archive) decode(line []byte) (any, error) {
	if !bytes.HasPrefix(line, eventPrefix) {
		return decodeNotice(line)
	}
	a.mu.RLock()
	event := a.events[string(line)]
	a.mu.RUnlock()
	if event != nil {
		return event, nil
	}
	notice, err := decodeNotice(line)
	if event, ok := notice.(*bridge.Event); ok && event.Seq > 0 {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events[string(line)] = event
	}
	return notice, err
}

// presence is a state or a change: State is nil in a change.
type presence struct {
	Channel string          `json:"channel"`
	State   []bridge.Member `json:"state"`
	Joins   []bridge.Member `json:"joins"`
	Updates []bridge.Member `json:"updates"`
	Leaves  []bridge.Leave  `json:"leaves"`
	Count   int             `json:"count"`
}

func decodeNotice(line []byte) (any, error) {
	var head struct {
		Op string `json:"op"`
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, fmt.Errorf("notice %.80q: %w", line, err)
	}
	notice := blankNotice(head.Op)
	if notice == nil {
		return nil, fmt.Errorf("notice %.80q: unknown op", line)
	}
	if err := json.Unmarshal(line, notice); err != nil {
		return nil, fmt.Errorf("notice %.80q: %w", line, err)
	}
	return notice, nil
}

func blankNotice(op string) any {
	switch op {
	case "welcome":
		return &bridge.Welcome{}
	case "ok":
		return &bridge.OK{}
	case "error":
		return &bridge.Error{}
	case "event":
		return &bridge.Event{}
	case "presence":
		return &presence{}
	case "gap":
		return &bridge.Gap{}
	case "degraded":
		return &bridge.Degraded{}
	case "restored":
		return &bridge.Restored{}
	case "drain":
		return &bridge.Drain{}
	case "unsubscribed":
		return &bridge.Unsubscribed{}
	case "ping":
		return &bridge.Ping{}
	}
	return nil
}
