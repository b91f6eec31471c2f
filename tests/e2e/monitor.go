package e2e

import (
	"context"
	"sync"
)

// Monitor guards a state that others wait for. Its zero value is ready.
type Monitor struct {
	sync.Mutex
	changed chan struct{} // closed when the state changes; nil when nobody waits
}

// Change changes the state and wakes whoever waits for it.
func (m *Monitor) Change(change func()) {
	m.Lock()
	defer m.Unlock()
	change()
	m.Wake()
}

// Wake wakes whoever waits, after a change under the lock.
func (m *Monitor) Wake() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// Await blocks until met, which is asked with the state locked, or returns why ctx
// has ended.
func (m *Monitor) Await(ctx context.Context, met func() bool) error {
	for {
		m.Lock()
		done := met()
		if !done && m.changed == nil {
			m.changed = make(chan struct{})
		}
		changed := m.changed
		m.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
