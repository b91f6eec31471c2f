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
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latido/latido/bridge/api"
	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/lease"
)

// Bridge is one node that browsers connect to.
type Bridge struct {
	config   Config
	log      *slog.Logger
	metrics  *prometheus.Registry
	listener net.Listener
	bus      hub.Bus
	leases   *lease.Leases
	node     *session.Node
	http     *api.Server
	health   health

	ready atomic.Bool // takes sessions
}

// New binds the listener and connects to the bus. It fails with the reason when
// the address is taken or the bus cannot be reached.
func New(config Config) (*Bridge, error) {
	config.Node = cmp.Or(config.Node, strings.ToLower(rand.Text()[:8]))
	config.Drain = cmp.Or(config.Drain, 5*time.Second)
	b := &Bridge{config: config, log: cmp.Or(config.Log, slog.Default()), metrics: prometheus.NewRegistry()}
	b.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	listener, err := net.Listen("tcp", cmp.Or(config.Listen, "127.0.0.1:8080"))
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	b.listener = listener
	if err := b.assemble(); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return b, nil
}

// assemble connects to the bus and puts together what runs on it.
func (b *Bridge) assemble() (err error) {
	if b.bus, err = b.connect(); err != nil {
		return err
	}
	kinds := maps.Clone(subjects.Catalog)
	for _, kind := range b.config.Kinds {
		kinds[kind.Name] = kind
	}
	b.leases = lease.New(lease.Config{
		Node: b.config.Node, Feed: b.bus.Live, Ask: b.bus.Publish,
		Inherit: b.inherit, Changed: b.nodeChanged, Stored: b.leaseStored,
	})
	b.node, err = session.New(session.Config{
		Name: b.config.Node, Bus: b.bus, Kinds: kinds, Leases: b.leases, Limits: b.config.Limits, Log: b.log,
		Metrics: b.metrics, Verifier: b.config.Verifier, Meta: b.config.Meta, Flushers: runtime.GOMAXPROCS(0),
	})
	if err != nil {
		b.closeBus()
		return err
	}
	b.http = api.New(api.Config{
		Node: b.node, Log: b.log, Metrics: b.metrics, Ready: b.Ready, Dev: b.config.Dev, Origins: b.config.Origins,
		TrustedProxies: b.config.TrustedProxies, MetricsToken: b.config.MetricsToken,
		MetricsElsewhere: b.config.MetricsElsewhere, Compress: b.config.Compress,
	})
	return nil
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
	b.node.Hub.Bind(inner)
	for _, run := range b.node.Parts(inner) {
		part(run)
	}
	if err := b.begin(ctx); err != nil {
		stop(err)
		parts.Wait()
		return errors.Join(err, b.listener.Close())
	}
	part(func() error { return b.http.Serve(b.listener) })
	part(func() error { b.node.Care(inner); return nil })
	part(func() error { b.node.Refresh(inner); return nil })
	part(func() error { b.node.EndWaits(inner); return nil })
	if b.config.Storage != nil {
		part(func() error { hub.Every(inner, hub.Tick, b.watchStorage); return nil })
	}
	b.ready.Store(true)
	b.log.Info("bridge is ready", "node", b.config.Node, "address", b.Addr())
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	b.ready.Store(false)
	b.node.Drain(b.config.Drain)
	err = errors.Join(err, b.http.Shutdown())
	b.node.Close()
	b.sayGoodbye()
	stop(errors.New("the bridge has stopped"))
	parts.Wait()
	return err
}

// begin takes part in the bus: the lease of this node comes before its first
// session, and the leases of others before the first look at who is there. It waits
// for the bus as long as ctx lasts.
func (b *Bridge) begin(ctx context.Context) error {
	live := b.bus.Live
	if err := b.node.Hub.WatchMembers(); err != nil {
		return err
	}
	if err := b.node.HearMoves(); err != nil {
		return err
	}
	if err := b.insist(ctx, func() error { return b.node.Hub.SettleMembers(ctx) }); err != nil {
		return err
	}
	live.SetDisconnectErrHandler(func(*nats.Conn, error) { b.degrade(causeBus, "the bus is away") })
	live.SetReconnectHandler(func(*nats.Conn) { b.mend(causeBus) })
	back := b.bus.Publish.ReconnectHandler()
	b.bus.Publish.SetReconnectHandler(func(nc *nats.Conn) {
		if back != nil {
			back(nc)
		}
		b.node.Hub.Start(func(context.Context) { b.node.RepeatMoves() })
	})
	tell := live.ErrorHandler()
	live.SetErrorHandler(func(nc *nats.Conn, subscription *nats.Subscription, err error) {
		tell(nc, subscription, err)
		if nc.IsConnected() { // or it was refused, at each attempt
			b.node.Hub.CheckAll()
		}
	})
	began := make(chan struct{})
	failed := make(chan error, 1)
	b.node.Hub.Start(func(ctx context.Context) {
		failed <- b.leases.Run(ctx, func() { close(began) })
	})
	select {
	case <-began:
		return nil
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
		if err == nil || ctx.Err() != nil || b.bus.Live.IsClosed() {
			return err
		}
		if !hub.Pause(ctx, hub.Setback(b.log, err, "begin")) {
			return err
		}
	}
}

// inherit settles what a bridge of our name left, before our lease keeps it.
func (b *Bridge) inherit(ctx context.Context, until time.Time) error {
	return b.insist(ctx, func() error { return b.node.Inherit(ctx, until) })
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
	b.node.ReviewNode(node, change == lease.Lost)
}

func (b *Bridge) closeBus() {
	for _, nc := range []*nats.Conn{b.bus.Live, b.bus.Publish, b.bus.Replay} {
		nc.Close()
	}
}

// sayGoodbye gives the lease back, so that nobody has to wait for its end.
func (b *Bridge) sayGoodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), netpoll.Farewell)
	defer cancel()
	if err := b.leases.Return(ctx); err != nil {
		b.log.Warn("give back the lease", "error", err)
	}
}

// Metrics answers what Prometheus asks.
func (b *Bridge) Metrics() http.Handler {
	return promhttp.HandlerFor(b.metrics, promhttp.HandlerOpts{})
}
