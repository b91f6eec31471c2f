package bridge

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology"
)

const (
	nodesStream = "KV_" + subjects.BucketNodes
	nodesKeys   = "$KV." + subjects.BucketNodes + "."
	// leaseRefresh is how often a bridge says that it is there: three times within
	// the lease.
	leaseRefresh = 3 * time.Second
	// goodbyePause is how long after a node gave its lease back it is believed
	// gone. It has said of each member what becomes of them, but those changes come
	// by another stream, and on a busy machine seconds later.
	goodbyePause = topology.LeaseTTL
)

// leases knows which nodes are there. A node whose lease ran out is believed
// gone only when the bus itself has been well for the length of a lease: after an
// outage every node needs time to say that it is there.
type leases struct {
	hub *hub

	mu      sync.Mutex
	nodes   map[string]bool      // alive, of those heard of
	expired map[string]time.Time // when to believe that a node is gone
	settled time.Time            // when the leases can be trusted again
}

func newLeases(h *hub) *leases {
	return &leases{hub: h, nodes: make(map[string]bool), expired: make(map[string]time.Time)}
}

// alive says whether a node's members are to be shown. A node that was never
// heard of is given the benefit of the doubt until the leases have settled.
func (l *leases) alive(node string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	alive, known := l.nodes[node]
	if !known {
		l.expire(node, time.Now().Add(topology.LeaseTTL))
		return true
	}
	return alive
}

// unsettle says that the bus was away.
func (l *leases) unsettle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = time.Now().Add(topology.LeaseTTL)
	for node := range l.expired {
		l.expired[node] = l.settled
	}
}

// change takes a change of a lease.
func (l *leases) change(key string, msg *nats.Msg) {
	node, err := subjects.ParseToken(key)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if recordOf(msg.Header, msg.Data) != nil {
		l.renew(node)
		return
	}
	if msg.Header.Get("KV-Operation") != "" {
		l.expire(node, time.Now().Add(goodbyePause))
		return
	}
	l.expire(node, l.settled)
}

func (l *leases) renew(node string) {
	was, known := l.nodes[node]
	l.nodes[node] = true
	delete(l.expired, node)
	if known && !was {
		l.hub.start(func(context.Context) { l.hub.review(node) })
	}
}

// expire has a node believed gone at a time, unless it is heard of before.
func (l *leases) expire(node string, when time.Time) {
	if _, waiting := l.expired[node]; !waiting {
		l.expired[node] = when
	}
}

func (l *leases) believe(node string) {
	l.nodes[node] = false
	delete(l.expired, node)
	l.hub.start(func(context.Context) { l.hub.review(node) })
}

// sweep believes what has been doubted long enough.
func (l *leases) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for node, when := range l.expired {
		if time.Now().After(when) {
			l.hub.metrics.leasesLost.Inc()
			l.believe(node)
		}
	}
}

// refreshAll reads all leases: at the start, and after changes may have been missed.
func (l *leases) refreshAll(ctx context.Context) error {
	last, err := history.Last(ctx, l.hub.bus.Replay, nodesStream, nodesKeys+">")
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	found := make(map[string]bool)
	_, err = history.Read(ctx, l.hub.bus.Replay, nodesStream, nodesKeys+">", 0, last, func(p history.Page) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, fact := range p.Facts {
			node, err := subjects.ParseToken(strings.TrimPrefix(fact.Subject, nodesKeys))
			if err == nil && recordOf(fact.Header, fact.Data) != nil {
				found[node] = true
				l.renew(node)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for node, alive := range l.nodes {
		if alive && !found[node] {
			l.expire(node, time.Now().Add(topology.LeaseTTL))
		}
	}
	return nil
}

// hold keeps this node's own lease until ctx ends. After one that others saw end,
// while we were suspended or the bucket had no leader, it calls lapsed.
func (l *leases) hold(ctx context.Context, js jetstream.JetStream, node string, lapsed func(context.Context)) error {
	bucket, err := js.KeyValue(ctx, subjects.BucketNodes)
	if err != nil {
		return fmt.Errorf("bucket of leases: %w", err)
	}
	if _, err := bucket.Put(ctx, subjects.Token(node), []byte(`{"node":"`+node+`"}`)); err != nil {
		return fmt.Errorf("lease: %w", err)
	}
	held := time.Now().Round(0) // by the wall: another clock may stand still while we are suspended
	l.hub.start(func(ctx context.Context) {
		every(ctx, leaseRefresh, func() {
			attempt, cancel := context.WithTimeout(ctx, leaseRefresh)
			defer cancel()
			_, err := bucket.Put(attempt, subjects.Token(node), []byte(`{"node":"`+node+`"}`))
			switch now := time.Now().Round(0); {
			case err == nil && now.Sub(held) > topology.LeaseTTL:
				held = now
				lapsed(ctx)
			case err == nil:
				held = now
			case ctx.Err() == nil:
				l.hub.log.Warn("lease not refreshed", "error", err)
			}
		})
	})
	return nil
}
