package stack

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	memoryInterval = 10 * time.Second
	// ballastSize is what a small server may allocate at least until its garbage is
	// collected.
	ballastSize = 32 << 20
	// idleMemory is how much garbage an idle server may gather: after a storm of
	// connects most of its heap is what handshakes left behind.
	idleMemory = 4 << 20
)

// ballast is counted by the garbage collector but never touched, so that it costs
// addresses and no memory. Without it a small server would collect its few
// megabytes many times a second.
var ballast = make([]byte, ballastSize)

// returnMemory gives memory that a peak has left unused back to the system when
// the server is idle, which Go itself does only when much is allocated again.
func returnMemory(ctx context.Context) error {
	defer runtime.KeepAlive(ballast)
	ticker := time.NewTicker(memoryInterval)
	defer ticker.Stop()
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	var looked, returned uint64
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		metrics.Read(allocated)
		now := allocated[0].Value.Uint64()
		if idle := now-looked < ballastSize; idle && now-returned > idleMemory {
			debug.FreeOSMemory()
			returned = now
		}
		looked = now
	}
}
