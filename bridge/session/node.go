package session

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/lease"
)

// Node is what the sessions and the HTTP API of a process share.
type Node struct {
	name      string
	Hub       *hub.Hub
	Limits    Limits
	log       *slog.Logger
	metrics   *metrics
	requester *requester
	waits     waits
	registry  *registry
	workers   *netpoll.Pool
	poller    *netpoll.Poller
	Verifier  *identity.Verifier
	Door      *admission.Door
	meta      map[string]*schemas.Schema // of what members say, by the kind of channel

	draining atomic.Bool    // no session is welcome any more
	sessions sync.WaitGroup // that are open

	gate   sync.RWMutex
	closed bool // no connection is taken; guarded by gate
}

// Config is what a node is told; everything is needed but Meta.
type Config struct {
	Name     string
	Bus      hub.Bus
	Kinds    map[string]subjects.Kind
	Leases   *lease.Leases
	Limits   Limits
	Log      *slog.Logger
	Metrics  *prometheus.Registry
	Verifier *identity.Verifier
	Meta     map[string]*schemas.Schema // judges what members say, by the kind of channel
	Flushers int                        // as many as there are cores to write with
}

// New returns a node that has no session yet. It fails when the system has no
// poller to give.
func New(c Config) (*Node, error) {
	poller, err := netpoll.NewPoller()
	if err != nil {
		return nil, err
	}
	limits := c.Limits.WithDefaults()
	n := &Node{
		name: c.Name, Limits: limits, log: c.Log, metrics: newMetrics(c.Metrics), requester: newRequester(c.Bus.Publish),
		poller: poller, Verifier: c.Verifier, Door: admission.New(limits.Admission()), meta: c.Meta,
	}
	n.Hub = hub.New(hub.Config{
		Bus: c.Bus, Kinds: c.Kinds, Leases: c.Leases, Flushers: c.Flushers, Frame: limits.Frame,
		Log: c.Log, Registry: c.Metrics, OnMember: n.memberChanged, OnPresence: n.presenceChanged,
	})
	n.registry, n.workers = newRegistry(limits, n.metrics), netpoll.NewPool(n.Hub.Start)
	return n, nil
}

// Parts are what runs for the node until ctx ends; each returns why it could not go
// on.
func (n *Node) Parts(ctx context.Context) []func() error {
	return []func() error{
		func() error { n.Hub.Run(ctx); return nil },
		func() error { return n.requester.run(ctx) },
		func() error { return n.poller.Run(ctx) },
	}
}

// Care looks after the sessions until ctx ends.
func (n *Node) Care(ctx context.Context) {
	sweeper := &sweeper{registry: n.registry}
	hub.Every(ctx, hub.Tick, sweeper.sweep)
}

// EndWaits has those leave who did not come back to this node's entries, until ctx ends.
func (n *Node) EndWaits(ctx context.Context) {
	hub.Every(ctx, endInterval, func() {
		for _, w := range n.waits.take(n.Hub.Leases.Over) {
			n.releaseEntry(left{w.key, w.generation, nil, w.revision}, true)
		}
	})
}

// Refresh writes again what has stood for long, until ctx ends.
func (n *Node) Refresh(ctx context.Context) {
	hub.Every(ctx, refreshPresence/8, func() {
		for _, s := range n.registry.all() {
			s.refreshTracks(ctx, time.Now())
		}
	})
}

// Announce tells every session.
func (n *Node) Announce(notice wire.Notice) {
	for _, s := range n.registry.all() {
		if s.isWelcomed() {
			s.tell(notice)
		}
	}
}

// SetFull notes that the bus has no room to store anything, or has it again, and
// says whether that is news.
func (n *Node) SetFull(full bool) (news bool) { return n.requester.full.Swap(full) != full }

// ReviewNode looks again at who was there through a node that is gone, or back.
func (n *Node) ReviewNode(name string, lost bool) {
	if lost {
		n.metrics.leasesLost.Inc()
	}
	n.Hub.Start(func(context.Context) { n.Hub.Review(name) })
}

// SessionCount is how many sessions are open.
func (n *Node) SessionCount() int { return len(n.registry.all()) }

// Disconnect ends the session with a reference, and says whether there is one.
func (n *Node) Disconnect(ref string, refusal schemas.Refusal) bool {
	s := n.registry.find(ref)
	if s != nil {
		s.end(refusal)
	}
	return s != nil
}

// Account is what the requests of the session with a reference are charged to, or
// nil where there is none.
func (n *Node) Account(ref string) *admission.Account {
	if s := n.registry.find(ref); s != nil {
		return &s.account
	}
	return nil
}

// Draining says whether no session is welcome any more.
func (n *Node) Draining() bool { return n.draining.Load() }

// CountRefusal counts a refusal for operators.
func (n *Node) CountRefusal(code schemas.Code) { n.metrics.refuse(code) }
