package kit

import (
	"bytes"
	"sync"

	"github.com/latido/latido/schemas/bridge"
)

// archive decodes stored events and keeps each distinct one once: a message to
// 300 clients is the same bytes 300 times, and a log of references to one copy
// is small and quick to compare.
type archive struct {
	mu     sync.RWMutex
	events map[string]*bridge.Event
}

// newArchive returns an empty archive for all clients of a run.
func newArchive() *archive { return &archive{events: map[string]*bridge.Event{}} }

var eventPrefix = []byte(`{"op":"event"`)

// decode reads one notice. Equal bytes of a stored event give the same pointer.
func (a *archive) decode(line []byte) (any, error) {
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
