package kit

import (
	"context"
	"sync"
	"time"
)

// monitor guards a state that others wait for. Its zero value is ready.
type monitor struct {
	sync.Mutex
	changed chan struct{} // closed when the state changes; nil when nobody waits
}

// change changes the state and wakes whoever waits for it.
func (m *monitor) change(change func()) {
	m.Lock()
	defer m.Unlock()
	change()
	m.wake()
}

// wake wakes whoever waits, after a change under the lock.
func (m *monitor) wake() {
	if m.changed != nil {
		close(m.changed)
		m.changed = nil
	}
}

// await blocks until met, which is asked with the state locked, or returns why ctx
// has ended.
func (m *monitor) await(ctx context.Context, met func() bool) error {
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

// Wait lets a time pass, or ctx end.
func Wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
