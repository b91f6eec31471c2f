package bridge

import (
	"context"
	"runtime"
	"sync/atomic"
)

// crew serves the sessions that have something to read, on the stacks of a few
// workers: an idle session has none. There are as many workers as there is work;
// the spare ones end.
type crew struct {
	jobs  chan *session
	idle  atomic.Int32
	spare int32
}

func newCrew() *crew {
	return &crew{jobs: make(chan *session), spare: int32(2 * runtime.GOMAXPROCS(0))}
}

// take has a worker serve the session, and does not wait for it.
func (c *crew) take(h *hub, s *session) {
	select {
	case c.jobs <- s:
	default:
		h.start(func(ctx context.Context) { c.work(ctx, s) })
	}
}

func (c *crew) work(ctx context.Context, s *session) {
	for {
		s.serve()
		if c.idle.Add(1) > c.spare {
			c.idle.Add(-1)
			return
		}
		select {
		case s = <-c.jobs:
			c.idle.Add(-1)
		case <-ctx.Done():
			return
		}
	}
}
