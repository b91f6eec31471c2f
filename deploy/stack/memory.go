package stack

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	memoryInterval = 10 * time.Second
	// idleMemory is how much the heap may hold unused before it is given back:
	// after a storm of connects most of it is what handshakes left behind.
	idleMemory = 8 << 20
)

// returnMemory gives heap that a peak has left unused back to the system, which
// Go itself does only as slowly as it collects when little is allocated.
func returnMemory(ctx context.Context) error {
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	samples := []metrics.Sample{{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		metrics.Read(samples)
		if samples[0].Value.Uint64()+samples[1].Value.Uint64() > idleMemory {
			debug.FreeOSMemory()
		}
	}
}
