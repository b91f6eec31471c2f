package e2e

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/latido/latido/deploy/stack"
)

// TestAbuseLeavesNothing must not run beside others: it counts goroutines and
// memory of the process. Hundreds of sockets that break off, or misbehave in each
// way a socket can, leave neither behind.
func TestAbuseLeavesNothing(t *testing.T) {
	const rounds, spareGoroutines, spareBytes = 40, 20, 48 << 20
	b, address := besides(t, stack.Config{})
	token := b.secret.Token(Identity{User: "mallory"}, tokenLasts)
	misdeeds := []func(*stranger){
		func(s *stranger) {},
		func(s *stranger) { s.say(`{"op":"hello","token":"x"}`) },
		func(s *stranger) { s.say(request(map[string]any{"op": "hello", "token": token})) },
		func(s *stranger) {
			s.say(request(map[string]any{"op": "hello", "token": token}))
			for id := range 50 {
				s.say(fmt.Sprintf(`{"id":%d,"op":"subscribe","channel":"app:%d","presence":true}`, id+1, id))
				s.say(fmt.Sprintf(`{"id":%d,"op":"track","channel":"app:%d","meta":{}}`, id+51, id))
			}
		},
		func(s *stranger) {
			s.say(request(map[string]any{"op": "hello", "token": token}))
			s.say(`{"id":1,"op":"call","channel":"room:nowhere","command":"join","data":{}}`)
		},
		func(s *stranger) {
			s.say(request(map[string]any{"op": "hello", "token": token}))
			s.say(strings.Repeat("x", 1<<20))
		},
	}
	abuse := func() {
		var abusers []*stranger
		for _, misdeed := range misdeeds {
			s := connect(t, address)
			misdeed(s)
			abusers = append(abusers, s)
		}
		for _, s := range abusers {
			_ = s.socket.CloseNow()
		}
	}
	abuse() // what is made once is made now
	before := memory()
	goroutines := runtime.NumGoroutine()
	for range rounds {
		abuse()
	}
	if !b.until(func() bool { return runtime.NumGoroutine() <= goroutines+spareGoroutines }) {
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
