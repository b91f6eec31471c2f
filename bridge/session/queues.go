package session

import (
	"context"
	"sync"
	"time"
)

// requestsAtOnce bounds a session's open requests: beyond it, and what one read
// brought, its socket is not read.
const requestsAtOnce = 64

// queues are the requests of one session that are worked on: those about one channel
// one after the other, those about another at the same time. An idle session holds no
// memory for them. The zero value has none.
type queues struct {
	mu      sync.Mutex
	waiting map[string][]func(context.Context) // by channel; a key while somebody works on it
	open    map[string]struct{}                // references of the requests in work
	unnamed int                                // requests in work without a reference
	ending  bool                               // nobody waits for room any more
	until   time.Time                          // when what still waits is given up; zero is never
	room    chan struct{}                      // closed when there is room for another request, or it ends
}

// add queues a job about a channel under a reference, or under none. It says no when
// the reference is in work already; first says that the caller has to run the
// channel's queue, as nobody does.
func (q *queues) add(ref, channel string, job func(context.Context)) (first, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.open[ref]; known {
		return false, false
	}
	if q.waiting == nil {
		q.waiting, q.open = make(map[string][]func(context.Context)), make(map[string]struct{})
	}
	if ref == "" {
		q.unnamed++
	} else {
		q.open[ref] = struct{}{}
	}
	jobs, busy := q.waiting[channel]
	q.waiting[channel] = append(jobs, job)
	return !busy, true
}

// run works on a channel's queue until it is empty, or given up.
func (q *queues) run(ctx context.Context, channel string) {
	for {
		q.mu.Lock()
		jobs := q.waiting[channel]
		if len(jobs) == 0 || !q.until.IsZero() && time.Now().After(q.until) {
			delete(q.waiting, channel)
			if len(q.waiting) == 0 {
				q.waiting, q.open, q.unnamed = nil, nil, 0
			}
			q.mu.Unlock()
			return
		}
		q.waiting[channel] = jobs[1:]
		q.mu.Unlock()
		jobs[0](ctx)
	}
}

// done ends the work under a reference, before it is answered: it may be used again.
func (q *queues) done(ref string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ref == "" {
		q.unnamed--
	} else {
		delete(q.open, ref)
	}
	q.release()
}

// release lets those go on who wait for room. The lock is held.
func (q *queues) release() {
	if q.room != nil && (q.ending || !q.isFull()) {
		close(q.room)
		q.room = nil
	}
}

// full says that no other request is taken at the moment.
func (q *queues) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.isFull()
}

func (q *queues) isFull() bool { return len(q.open)+q.unnamed >= requestsAtOnce }

// await waits until another request may be taken, or end.
func (q *queues) await() {
	q.mu.Lock()
	if q.ending || !q.isFull() {
		q.mu.Unlock()
		return
	}
	if q.room == nil {
		q.room = make(chan struct{})
	}
	room := q.room
	q.mu.Unlock()
	<-room
}

// end has nobody wait for room any more, and what waits given up at a time; zero is
// never.
func (q *queues) end(until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ending, q.until = true, until
	q.release()
}
