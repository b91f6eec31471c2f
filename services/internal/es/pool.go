package es

import (
	"hash/maphash"
	"sync"
)

// pool runs work of one key in the order it came, and of different keys side
// by side, on a fixed number of goroutines. Each holds a bounded queue; work
// that finds its queue full is not taken.
type pool struct {
	seed   maphash.Seed
	queues []chan func()
	done   sync.WaitGroup

	mu     sync.RWMutex
	closed bool
}

func newPool(workers, queue int) *pool {
	p := &pool{seed: maphash.MakeSeed(), queues: make([]chan func(), workers)}
	for i := range p.queues {
		works := make(chan func(), queue)
		p.queues[i] = works
		p.done.Go(func() {
			for work := range works {
				work()
			}
		})
	}
	return p
}

// submit reports whether the work was taken. It never waits.
func (p *pool) submit(key string, work func()) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return false
	}
	select {
	case p.queues[maphash.String(p.seed, key)%uint64(len(p.queues))] <- work:
		return true
	default:
		return false
	}
}

// close takes no more work and returns when all that was taken is done.
func (p *pool) close() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		for _, works := range p.queues {
			close(works)
		}
	}
	p.mu.Unlock()
	p.done.Wait()
}
