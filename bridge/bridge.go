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
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
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
	hub      *hub
	asker    *asker
	registry *registry
	crew     *crew
	poller   *poller
	verifier *identity.Verifier
	door     *admission.Door

	ready    atomic.Bool // takes sessions
	draining atomic.Bool // takes no more
	next     atomic.Uint64
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
	if b.poller, err = newPoller(); err != nil {
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
	b.hub = newHub(connections, kinds, runtime.GOMAXPROCS(0), b.log, b.metrics)
	b.hub.frameLimit = b.limits.Frame
	b.hub.onMember, b.hub.onPresence = b.memberChanged, b.presenceChanged
	b.metrics.count("presence_members", "Members of all channels watched here.", b.hub.members)
	b.asker = newAsker(connections.Publish)
	b.registry, b.crew = newRegistry(b.limits, b.metrics), newCrew()
	b.app = b.routes()
	return b, nil
}

func (b *Bridge) connect() (bus, error) {
	var opened []*nats.Conn
	for _, purpose := range []string{"live", "publish", "replay"} {
		nc, err := b.config.Connect(purpose)
		if err != nil {
			for _, nc := range opened {
				nc.Close()
			}
			return bus{}, fmt.Errorf("connect to the bus: %w", err)
		}
		opened = append(opened, nc)
	}
	return bus{Live: opened[0], Publish: opened[1], Replay: opened[2]}, nil
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
	b.hub.ctx = inner
	part(func() error { b.hub.run(inner); return nil })
	part(func() error { return b.asker.run(inner) })
	part(func() error { return b.poller.run(inner) })
	if err := b.begin(ctx); err != nil {
		stop(err)
		parts.Wait()
		return errors.Join(err, b.listener.Close())
	}
	part(func() error { return b.app.Listener(punctual{b.listener, b.limits.Handshake}) })
	part(func() error {
		every(inner, tick, (&sweeper{registry: b.registry}).sweep)
		return nil
	})
	part(func() error {
		every(inner, refreshPresence/8, func() {
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
// session, and what the others hold before the first look at it.
func (b *Bridge) begin(ctx context.Context) error {
	live := b.hub.bus.Live
	for _, subject := range []string{subjects.FeedNodes + ">", subjects.FeedMembers + ">"} {
		if _, err := live.ChanSubscribe(subject, b.hub.inbox); err != nil {
			return fmt.Errorf("watch %s: %w", subject, err)
		}
	}
	if err := live.FlushTimeout(openTimeout); err != nil {
		return fmt.Errorf("watch leases: %w", err)
	}
	if err := b.hub.rights.settle(ctx); err != nil {
		return err
	}
	if err := b.hub.leases.refreshAll(ctx); err != nil {
		return err
	}
	js, err := jetstream.New(b.hub.bus.Publish)
	if err != nil {
		return err
	}
	live.SetDisconnectErrHandler(func(*nats.Conn, error) { b.degrade() })
	live.SetReconnectHandler(func(*nats.Conn) { b.hub.start(b.restore) })
	live.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		b.log.Warn("bus", "error", err)
		b.hub.checker.everything()
	})
	return b.hub.leases.hold(ctx, js, b.node, b.confirmDevices)
}

// degrade tells the sessions that the bus is away.
func (b *Bridge) degrade() {
	if b.draining.Load() {
		return // it is us who leaves
	}
	b.hub.leases.unsettle()
	if b.hub.degraded.Swap(true) {
		return
	}
	b.log.Warn("bus is away")
	b.announce(wire.Degraded{})
}

// restore makes every channel whole after the bus came back, and then says so.
func (b *Bridge) restore(ctx context.Context) {
	b.hub.leases.unsettle()
	for {
		err := b.hub.checker.settle(ctx, true)
		if err == nil || ctx.Err() != nil {
			break
		}
		b.log.Warn("restore", "error", err)
		pause(ctx, retryPause)
	}
	if b.hub.bus.Live.IsConnected() && b.hub.degraded.Swap(false) {
		b.log.Info("bus is back")
		b.hub.dirty() // whoever came meanwhile is told who is there
		b.announce(wire.Restored{})
		b.confirmDevices(ctx)
		b.hub.checker.everything()
	}
}

// announce tells every session.
func (b *Bridge) announce(notice wire.Notice) {
	for _, s := range b.registry.all() {
		if s.isWelcomed() {
			s.tell(notice)
		}
	}
}

func (b *Bridge) closeBus() {
	for _, nc := range []*nats.Conn{b.hub.bus.Live, b.hub.bus.Publish, b.hub.bus.Replay} {
		nc.Close()
	}
}
