package bridge

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/lease"
)

// Bridge is one node that browsers connect to.
type Bridge struct {
	node     string
	config   Config
	limits   Limits
	log      *slog.Logger
	metrics  *metrics
	listener net.Listener
	app      *fiber.App
	hub      *hub.Hub
	asker    *asker
	registry *registry
	workers  *netpoll.Pool
	poller   *netpoll.Poller
	verifier *identity.Verifier
	door     *admission.Door
	health   health

	ready    atomic.Bool // takes sessions
	draining atomic.Bool // takes no more
	sessions sync.WaitGroup

	gate   sync.RWMutex
	closed bool // no connection is taken; guarded by gate
}

// New binds the listener and connects to the bus. It fails with the reason when
// the address is taken or the bus cannot be reached.
func New(config Config) (*Bridge, error) {
	b := &Bridge{
		config: config, verifier: config.Verifier, limits: config.Limits.withDefaults(), metrics: newMetrics(),
		node: cmp.Or(config.Node, strings.ToLower(rand.Text()[:8])), log: cmp.Or(config.Log, slog.Default()),
	}
	b.door = admission.New(b.limits.admission())
	if b.config.TrustedProxies == nil {
		b.config.TrustedProxies = admission.Loopback
	}
	b.config.Drain = cmp.Or(config.Drain, 5*time.Second)
	listener, err := net.Listen("tcp", cmp.Or(config.Listen, "127.0.0.1:8080"))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	b.listener = listener
	if b.poller, err = netpoll.NewPoller(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	connections, err := b.connect()
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	kinds := maps.Clone(subjects.Catalog)
	for _, kind := range config.Kinds {
		kinds[kind.Name] = kind
	}
	leases := lease.New(lease.Config{
		Node: b.node, Feed: connections.Live, Ask: connections.Publish, Changed: b.nodeChanged, Stored: b.leaseStored,
	})
	b.hub = hub.New(hub.Config{
		Bus: connections, Kinds: kinds, Leases: leases, Flushers: runtime.GOMAXPROCS(0), Frame: b.limits.Frame,
		Log: b.log, Registry: b.metrics.registry, OnMember: b.memberChanged, OnPresence: b.presenceChanged,
	})
	b.metrics.count("presence_members", "Members of all channels watched here.", b.hub.MemberCount)
	b.asker = newAsker(connections.Publish)
	b.registry, b.workers = newRegistry(b.limits, b.metrics), netpoll.NewPool(b.hub.Start)
	b.app = b.routes()
	return b, nil
}

func (b *Bridge) connect() (hub.Bus, error) {
	var opened []*nats.Conn
	for _, purpose := range []string{"live", "publish", "replay"} {
		nc, err := b.config.Connect(purpose)
		if err != nil {
			for _, nc := range opened {
				nc.Close()
			}
			return hub.Bus{}, fmt.Errorf("connect to the bus: %w", err)
		}
		opened = append(opened, nc)
	}
	return hub.Bus{Live: opened[0], Publish: opened[1], Replay: opened[2]}, nil
}

// Addr is the address that the bridge listens on, host:port.
func (b *Bridge) Addr() string { return b.listener.Addr().String() }

// Taking says whether the bridge takes sessions.
func (b *Bridge) Taking() bool { return b.ready.Load() }

// Run serves until ctx ends; then it drains: sessions are told to come back
// elsewhere, over a while, and what they sent is finished. It returns when
// everything it started has ended.
func (b *Bridge) Run(ctx context.Context) error {
	// What serves the sessions outlives ctx by the drain.
	inner, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	defer b.closeBus()
	var parts sync.WaitGroup
	failed := make(chan error, 4)
	part := func(run func() error) {
		parts.Go(func() {
			if err := run(); err != nil {
				failed <- err
			}
		})
	}
	b.hub.Bind(inner)
	part(func() error { b.hub.Run(inner); return nil })
	part(func() error { return b.asker.run(inner) })
	part(func() error { return b.poller.Run(inner) })
	if err := b.begin(ctx); err != nil {
		stop(err)
		parts.Wait()
		return errors.Join(err, b.listener.Close())
	}
	part(func() error { return b.app.Listener(punctual{b.listener, b.limits.Handshake}) })
	part(func() error {
		hub.Every(inner, hub.Tick, (&sweeper{registry: b.registry}).sweep)
		return nil
	})
	if b.config.Storage != nil {
		part(func() error { hub.Every(inner, hub.Tick, b.watchStorage); return nil })
	}
	part(func() error {
		hub.Every(inner, refreshPresence/8, func() {
			for _, s := range b.registry.all() {
				s.refreshTracks(inner, time.Now())
			}
		})
		return nil
	})
	b.ready.Store(true)
	b.log.Info("bridge is ready", "node", b.node, "address", b.Addr())
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	b.drain()
	// HTTP connections that idle, or are half through a handshake, are not waited for.
	if shutdown := b.app.ShutdownWithTimeout(time.Second); !errors.Is(shutdown, context.DeadlineExceeded) {
		err = errors.Join(err, shutdown)
	}
	b.close()
	b.sayGoodbye()
	stop(errors.New("the bridge has stopped"))
	parts.Wait()
	return err
}

// begin takes part in the bus: the lease of this node comes before its first
// session, and the leases of others before the first look at who is there. It waits
// for the bus as long as ctx lasts.
func (b *Bridge) begin(ctx context.Context) error {
	live := b.hub.Bus.Live
	if err := b.hub.WatchMembers(); err != nil {
		return err
	}
	if err := b.insist(ctx, func() error { return b.hub.SettleMembers(ctx) }); err != nil {
		return err
	}
	live.SetDisconnectErrHandler(func(*nats.Conn, error) { b.degrade(causeBus, "the bus is away") })
	live.SetReconnectHandler(func(*nats.Conn) { b.mend(causeBus) })
	tell := live.ErrorHandler()
	live.SetErrorHandler(func(nc *nats.Conn, subscription *nats.Subscription, err error) {
		tell(nc, subscription, err)
		if nc.IsConnected() { // or it was refused, at each attempt
			b.hub.CheckAll()
		}
	})
	began := make(chan struct{})
	failed := make(chan error, 1)
	b.hub.Start(func(ctx context.Context) {
		failed <- b.hub.Leases.Run(ctx, func() { close(began) })
	})
	select {
	case <-began:
		return b.insist(ctx, func() error { return b.leftovers(ctx) })
	case err := <-failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// insist does what must work before the first session, as often as it takes: the bus
// may be away, or without a leader.
func (b *Bridge) insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || ctx.Err() != nil || b.hub.Bus.Live.IsClosed() {
			return err
		}
		b.log.Warn("begin", "error", err)
		if !hub.Pause(ctx, hub.RetryPause) {
			return err
		}
	}
}

// leaseStored hears whether this node's lease can be stored: when it cannot,
// neither can anything else, and others will soon believe that we are gone.
func (b *Bridge) leaseStored(err error) {
	if err != nil {
		b.degrade(causeLease, "nothing is stored: "+err.Error())
		return
	}
	b.mend(causeLease)
}

// nodeChanged looks again at who was there through a node that is gone or back.
func (b *Bridge) nodeChanged(node string, change lease.Change) {
	if change == lease.Lost {
		b.metrics.leasesLost.Inc()
	}
	b.hub.Start(func(context.Context) { b.hub.Review(node) })
}

func (b *Bridge) closeBus() {
	for _, nc := range []*nats.Conn{b.hub.Bus.Live, b.hub.Bus.Publish, b.hub.Bus.Replay} {
		nc.Close()
	}
}
