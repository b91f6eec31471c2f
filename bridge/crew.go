package bridge

import (
	"context"
	"runtime"
	"sync/atomic"
)

// crew handles what sessions have read. A session's own goroutine does nothing
// but wait for its socket, so that its stack stays as small as it was born;
// decoding, tokens and publishing happen on the deeper stacks of a few workers.
// There are as many as there is work; the spare ones end.
type crew struct {
	jobs  chan *session
	idle  atomic.Int32
	spare int32
}

func newCrew() *crew {
	return &crew{jobs: make(chan *session), spare: int32(2 * runtime.GOMAXPROCS(0))}
}

// handle has a worker take what the session has read, and returns when that is done.
func (c *crew) handle(h *hub, s *session) {
	s.handled.Add(1)
	select {
	case c.jobs <- s:
	default:
		h.start(func(ctx context.Context) { c.work(ctx, s) })
	}
	s.handled.Wait()
}

func (c *crew) work(ctx context.Context, s *session) {
	for {
		s.failure = s.reader.Feed(s.received, s.handle)
		s.handled.Done()
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
