package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/kit"
)

// patience is how long a test waits for what must become true. It is not how
// long that should take: the table tells how long it took.
const patience = 3 * time.Minute

// pause is how often a test asks again.
const pause = 50 * time.Millisecond

// stage is a system of processes, and the clients on it.
type stage struct{ *kit.Stage }

// newStage runs a NATS server and the presence service.
func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageOn(t, bustest.Start(t))
}

// newStageOn runs the presence service on a bus.
func newStageOn(t *testing.T, bus *bustest.Bus) *stage {
	t.Helper()
	kit.Build(t) // before the time runs
	s := &stage{kit.NewStage(t, kit.Config{Bus: bus, Limit: patience + *duration, Seed: *seed})}
	s.Process("presence", kit.Program{Node: "presence"})
	return s
}

// bridge runs a bridge as a process of its own.
func (s *stage) bridge(node string, arguments ...string) *kit.Process {
	s.T.Helper()
	return s.Process("bridge", kit.Program{Node: node, Arguments: arguments})
}

// client runs a client until the test ends, or leave is called.
func (s *stage) client(user, address, device string) (c *kit.Client, leave func()) {
	s.T.Helper()
	c = s.Client(kit.ClientConfig{Who: kit.Identity{User: user}, Device: device, Bridges: []string{address}, Unsteady: true})
	leave = s.Run(c)
	s.Must(c.Back(s.Ctx, 1))
	return c, leave
}

// observer runs a client that only looks.
func (s *stage) observer(name, address string, channels ...string) *kit.Client {
	s.T.Helper()
	c, _ := s.client("observer "+name, address, "")
	for _, channel := range channels {
		s.Must(c.Follow(s.Ctx, channel, kit.FromNow, true))
	}
	return c
}

// crowd runs clients that are each shown on all channels.
func (s *stage) crowd(name string, count int, address string, channels []string) []*kit.Client {
	s.T.Helper()
	clients := make([]*kit.Client, count)
	var showing sync.WaitGroup
	for i := range clients {
		clients[i], _ = s.client(fmt.Sprintf("%s %d", name, i), address, "")
		showing.Go(func() {
			for _, channel := range channels {
				s.Check(clients[i].Track(s.Ctx, channel, nil))
			}
		})
	}
	showing.Wait()
	return clients
}

// truth blocks until all observers' lists are exactly the wanted seats, and says
// how long after a moment the last one was.
func (s *stage) truth(since time.Time, wanted []kit.Seat, observers ...*kit.Client) time.Duration {
	s.T.Helper()
	var latest time.Time
	for _, observer := range observers {
		at, err := observer.Ledger.Await(s.Ctx, wanted)
		if err != nil {
			s.T.Fatalf("%s: %v", observer.User(), err)
		}
		latest = later(latest, at)
	}
	return latest.Sub(since)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stored blocks until the buckets hold exactly the wanted seats of app channels.
func (s *stage) stored(since time.Time, wanted []kit.Seat) time.Duration {
	s.T.Helper()
	wanted = slices.SortedFunc(slices.Values(wanted), kit.CompareSeats)
	for {
		held, err := kit.Seated(s.Ctx, s.NATS, "*.app.>")
		if err == nil && slices.Equal(held, wanted) {
			return time.Since(since)
		}
		if kit.Wait(s.Ctx, 10*pause); s.Ctx.Err() != nil {
			s.T.Fatalf("bucket: %v: %s", err, kit.Difference(held, wanted))
		}
	}
}

// judge holds what an observer was told since its ledger's last page against
// what happened, and returns how many seats were told of wrongly.
func (s *stage) judge(observer *kit.Client, owed kit.Owed) int {
	s.T.Helper()
	return s.judgeChanges(observer, observer.Ledger.Changes(), owed)
}

func (s *stage) judgeChanges(observer *kit.Client, changes []kit.Change, owed kit.Owed) int {
	s.T.Helper()
	wrong := owed.Judge(changes)
	if len(wrong) > 0 {
		s.T.Errorf("%s: %d seats were told of wrongly, as\n%s", observer.User(), len(wrong), strings.Join(wrong[:min(5, len(wrong))], "\n"))
	}
	return len(wrong)
}

// turn begins a new page in every observer's ledger.
func reset(observers ...*kit.Client) {
	for _, observer := range observers {
		observer.Ledger.Reset()
	}
}

// seats are where some clients mean to be seen.
func seats(crowds ...[]*kit.Client) []kit.Seat {
	var all []kit.Seat
	for _, client := range slices.Concat(crowds...) {
		all = append(all, client.Seats()...)
	}
	return all
}

// rooms names some channels.
func rooms(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("app:room-%d", i)
	}
	return names
}
