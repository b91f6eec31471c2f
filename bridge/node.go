package bridge

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

// node is what the sessions and the HTTP API of a process share.
type node struct {
	name     string
	hub      *hub.Hub
	limits   Limits
	log      *slog.Logger
	metrics  *metrics
	asker    *asker
	registry *registry
	workers  *netpoll.Pool
	poller   *netpoll.Poller
	verifier *identity.Verifier
	door     *admission.Door
	meta     map[string]*schemas.Schema // of what members say, by the kind of channel

	draining atomic.Bool    // no session is welcome any more
	sessions sync.WaitGroup // that are open

	gate   sync.RWMutex
	closed bool // no connection is taken; guarded by gate
}

// nodeConfig is what a node is told; everything is needed but Meta.
type nodeConfig struct {
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

// newNode returns a node that has no session yet. It fails when the system has no
// poller to give.
func newNode(c nodeConfig) (*node, error) {
	poller, err := netpoll.NewPoller()
	if err != nil {
		return nil, err
	}
	limits := c.Limits.withDefaults()
	n := &node{
		name: c.Name, limits: limits, log: c.Log, metrics: newMetrics(c.Metrics), asker: newAsker(c.Bus.Publish),
		poller: poller, verifier: c.Verifier, door: admission.New(limits.admission()), meta: c.Meta,
	}
	n.hub = hub.New(hub.Config{
		Bus: c.Bus, Kinds: c.Kinds, Leases: c.Leases, Flushers: c.Flushers, Frame: limits.Frame,
		Log: c.Log, Registry: c.Metrics, OnMember: n.memberChanged, OnPresence: n.presenceChanged,
	})
	n.registry, n.workers = newRegistry(limits, n.metrics), netpoll.NewPool(n.hub.Start)
	return n, nil
}

// parts are what runs for the node until ctx ends; each returns why it could not go
// on.
func (n *node) parts(ctx context.Context) []func() error {
	return []func() error{
		func() error { n.hub.Run(ctx); return nil },
		func() error { return n.asker.run(ctx) },
		func() error { return n.poller.Run(ctx) },
	}
}

// care looks after the sessions until ctx ends.
func (n *node) care(ctx context.Context) {
	sweeper := &sweeper{registry: n.registry}
	hub.Every(ctx, hub.Tick, sweeper.sweep)
}

// refresh writes again what has stood for long, until ctx ends.
func (n *node) refresh(ctx context.Context) {
	hub.Every(ctx, refreshPresence/8, func() {
		for _, s := range n.registry.all() {
			s.refreshTracks(ctx, time.Now())
		}
	})
}

// announce tells every session.
func (n *node) announce(notice wire.Notice) {
	for _, s := range n.registry.all() {
		if s.isWelcomed() {
			s.tell(notice)
		}
	}
}

// setFull notes that the bus has no room to store anything, or has it again, and
// says whether that is news.
func (n *node) setFull(full bool) (news bool) { return n.asker.full.Swap(full) != full }

// reviewNode looks again at who was there through a node that is gone, or back.
func (n *node) reviewNode(name string, lost bool) {
	if lost {
		n.metrics.leasesLost.Inc()
	}
	n.hub.Start(func(context.Context) { n.hub.Review(name) })
}

// sessionCount is how many sessions are open.
func (n *node) sessionCount() int { return len(n.registry.all()) }

// disconnect ends the session with a reference, and says whether there is one.
func (n *node) disconnect(ref string, refusal schemas.Refusal) bool {
	s := n.registry.find(ref)
	if s != nil {
		s.end(refusal)
	}
	return s != nil
}

// account is what the requests of the session with a reference are charged to, or
// nil where there is none.
func (n *node) account(ref string) *admission.Account {
	if s := n.registry.find(ref); s != nil {
		return &s.account
	}
	return nil
}

// isDraining says whether no session is welcome any more.
func (n *node) isDraining() bool { return n.draining.Load() }

// countRefusal counts a refusal for operators.
func (n *node) countRefusal(code schemas.Code) { n.metrics.refuse(code) }
