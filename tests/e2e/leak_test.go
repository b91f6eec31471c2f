package e2e

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/tests/kit"
)

// TestAbuseLeavesNothing must not run beside others: it counts goroutines and
// memory of the process. Hundreds of sockets that break off, or misbehave in each
// way a socket can, leave neither behind.
func TestAbuseLeavesNothing(t *testing.T) {
	const rounds, spareGoroutines, spareBytes = 40, 20, 48 << 20
	b, address := besides(t, stack.Config{})
	token := b.Secret.Token(kit.Identity{User: "mallory"})
	hello := kit.Frame{"op": "hello", "token": token}
	misdeeds := []func(*kit.RawClient){
		func(s *kit.RawClient) {},
		func(s *kit.RawClient) { s.Send(`{"op":"hello","token":"x"}`) },
		func(s *kit.RawClient) { s.Send(hello) },
		func(s *kit.RawClient) {
			s.Send(hello)
			for id := range 50 {
				s.Send(fmt.Sprintf(`{"id":%d,"op":"subscribe","channel":"app:%d","presence":true}`, id+1, id))
				s.Send(fmt.Sprintf(`{"id":%d,"op":"track","channel":"app:%d","meta":{}}`, id+51, id))
			}
		},
		func(s *kit.RawClient) {
			s.Send(hello)
			s.Send(`{"id":1,"op":"call","channel":"room:nowhere","command":"join","data":{}}`)
		},
		func(s *kit.RawClient) {
			s.Send(hello)
			s.Send(strings.Repeat("x", 1<<20))
		},
	}
	abuse := func() {
		var abusers []*kit.RawClient
		for _, misdeed := range misdeeds {
			s := kit.Dial(t, address)
			misdeed(s)
			abusers = append(abusers, s)
		}
		for _, s := range abusers {
			s.CloseNow()
		}
	}
	abuse() // what is made once is made now
	before := memory()
	goroutines := runtime.NumGoroutine()
	for range rounds {
		abuse()
	}
	if !b.Until(func() bool { return runtime.NumGoroutine() <= goroutines+spareGoroutines }) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
	}
	if after := memory(); after > before+spareBytes {
		t.Errorf("%d bytes in use, %d before", after, before)
	}
	b.unharmed(0)
}

func memory() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
