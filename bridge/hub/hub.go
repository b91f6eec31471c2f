package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/lease"
)

const (
	// inbox bounds the messages from the bus that wait to be sorted. When it is
	// full NATS drops what comes; the gaps are seen and healed.
	inboxSize = 1 << 16
	// replaysAtOnce bounds the reads of history in flight, so that a storm of
	// returning browsers cannot starve the live path.
	replaysAtOnce = 4
	// linger is how many ticks a channel without a session stays watched: who
	// comes back soon finds its ring warm.
	linger     = 10
	Tick       = time.Second
	RetryPause = 250 * time.Millisecond
	// RefusedPause is how soon what was refused is tried again: whoever refuses it is
	// there, and waits for something.
	RefusedPause = 2 * time.Second
)

// Bus holds the connections to NATS, one for each kind of traffic, so that a
// large replay never delays what is live.
type Bus struct {
	Live    *nats.Conn // subscriptions
	Publish *nats.Conn // requests, publishes, presence
	Replay  *nats.Conn // history
}

// Hub holds the watched channels of this node and sorts what comes from the bus.
type Hub struct {
	Bus      Bus
	log      *slog.Logger
	metrics  *hubMetrics
	kinds    map[string]subjects.Kind
	flushers []*flusher
	next     atomic.Uint64 // flusher for an outlet
	replays  chan struct{}
	inbox    chan *nats.Msg
	Leases   *lease.Leases
	checker  *checker
	rights   *rights
	Degraded atomic.Bool
	absent   atomic.Pointer[string] // a stream that should be there and is not

	frameLimit int // of what browsers send

	ctx   context.Context // ends what start began
	tasks sync.WaitGroup

	mu       sync.Mutex
	channels map[string]*Channel // by the tail of their subjects
	watches  map[*Channel][]*nats.Subscription

	changed map[*Channel]struct{} // whose presence has changed since it was last told
	waiting map[*Channel]struct{} // where somebody may come back

	onMember   func(channel subjects.Channel, user string)
	onPresence func(channel subjects.Channel, seen PresenceChange) (outlived bool)
}

// Config is what a hub is told.
type Config struct {
	Bus      Bus
	Kinds    map[string]subjects.Kind
	Leases   *lease.Leases
	Flushers int // as many as there are cores to write with
	Frame    int // bytes of a frame that browsers may send
	Log      *slog.Logger
	Registry prometheus.Registerer

	// OnMember hears that a membership changed: of a user, or of everyone ("").
	OnMember func(channel subjects.Channel, user string)
	// OnPresence hears of a change of an entry, and says whether the entry is a
	// session's here that outlives it: then it is written again, and nobody left.
	OnPresence func(channel subjects.Channel, seen PresenceChange) (outlived bool)
}

// New returns a hub that watches nothing yet: call Bind, and then Run.
func New(c Config) *Hub {
	h := &Hub{
		Bus: c.Bus, log: c.Log, metrics: newHubMetrics(c.Registry), kinds: c.Kinds, Leases: c.Leases, frameLimit: c.Frame,
		onMember: c.OnMember, onPresence: c.OnPresence,
		replays: make(chan struct{}, replaysAtOnce), inbox: make(chan *nats.Msg, inboxSize),
		channels: make(map[string]*Channel), watches: make(map[*Channel][]*nats.Subscription),
		changed: make(map[*Channel]struct{}), waiting: make(map[*Channel]struct{}),
	}
	for i := range c.Flushers {
		h.flushers = append(h.flushers, newFlusher(i, h.metrics))
	}
	promauto.With(c.Registry).NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "latido", Subsystem: "bridge", Name: "presence_members", Help: "Members of all channels watched here.",
	}, func() float64 { return float64(h.members()) })
	h.checker = newChecker(h)
	h.rights = newRights(h)
	return h
}

// Bind sets what ends the hub's tasks; it comes before everything else.
func (h *Hub) Bind(ctx context.Context) { h.ctx = ctx }

// Kind finds the kind of a channel.
func (h *Hub) Kind(name subjects.Channel) (subjects.Kind, bool) {
	kind, known := h.kinds[name.Kind]
	return kind, known
}

// Lookup is the channel of a name, if it is watched, or nil.
func (h *Hub) Lookup(name subjects.Channel) *Channel { return h.find(tail(name)) }

// CheckAll has all channels compared with their streams soon.
func (h *Hub) CheckAll() { h.checker.everything() }

// Settle makes every watched channel whole, and returns when it is: after what may
// have cost a stream its tail, thoroughly.
func (h *Hub) Settle(ctx context.Context) error { return h.checker.settle(ctx, true) }

// Missing is the name of a stream that should be there and is not, or "".
func (h *Hub) Missing() string {
	if stream := h.absent.Load(); stream != nil {
		return *stream
	}
	return ""
}

// Start runs a task of the hub's; run waits for it.
func (h *Hub) Start(task func(context.Context)) {
	h.tasks.Go(func() { task(h.ctx) })
}

// Acquire returns the open channel of a name, to be given back by release.
func (h *Hub) Acquire(ctx context.Context, name subjects.Channel) (*Channel, error) {
	h.mu.Lock()
	ch := h.channels[tail(name)]
	if ch == nil {
		ch = h.newChannel(name)
		h.channels[tail(name)] = ch
		h.Start(func(ctx context.Context) { h.open(ctx, ch) })
	}
	ch.refs++
	h.mu.Unlock()
	select {
	case <-ch.opened:
	case <-ctx.Done():
		h.Release(ch)
		return nil, context.Cause(ctx)
	}
	if ch.failed != nil {
		h.Release(ch)
		return nil, ch.failed
	}
	return ch, nil
}

func (h *Hub) newChannel(name subjects.Channel) *Channel {
	ch := &Channel{
		hub: h, Name: name, state: state{label: name.String(), kind: h.kinds[name.Kind]}, opened: make(chan struct{}),
		cursors: make([][]*Cursor, len(h.flushers)), queued: make([]bool, len(h.flushers)),
	}
	ch.healing = ch.Durable()
	h.metrics.channels.Inc()
	return ch
}

func (h *Hub) open(ctx context.Context, ch *Channel) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	defer close(ch.opened)
	if err := ch.open(ctx); err != nil {
		ch.failed = fmt.Errorf("open %s: %w", ch.Name, err)
		h.mu.Lock()
		h.forget(ch)
		h.mu.Unlock()
		return
	}
	if ch.Durable() {
		h.checker.soon(ch)
	}
}

// openTimeout bounds the opening of a channel: a cluster may be without a leader
// for 7 s.
const openTimeout = 10 * time.Second

// Release gives back what Acquire returned.
func (h *Hub) Release(ch *Channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch.refs--
	ch.idle = 0
}

// sweep closes the channels that nobody has used for a while.
func (h *Hub) sweep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ch := range h.channels {
		if ch.refs > 0 {
			continue
		}
		if ch.idle++; ch.idle > linger {
			h.forget(ch)
		}
	}
}

// forget ends the watching of a channel. The lock is held.
func (h *Hub) forget(ch *Channel) {
	if h.channels[tail(ch.Name)] != ch {
		return
	}
	for _, subscription := range h.watches[ch] {
		_ = subscription.Unsubscribe() // it fails when the connection is closed, and then it is gone
	}
	delete(h.watches, ch)
	delete(h.channels, tail(ch.Name))
	h.metrics.channels.Dec()
}

// Watch subscribes to what a channel's ring is made of.
func (h *Hub) Watch(ch *Channel) error {
	wanted := []string{ch.Name.Live()}
	if ch.Durable() {
		wanted = append(wanted, ch.Name.Feed())
	}
	return h.subscribe(ch, wanted...)
}

// Unwatch ends the subscriptions that a channel's ring is made of, until it is
// watched again.
func (h *Hub) Unwatch(ch *Channel) error {
	h.mu.Lock()
	watches := h.watches[ch]
	delete(h.watches, ch)
	h.mu.Unlock()
	for _, subscription := range watches {
		if err := subscription.Unsubscribe(); err != nil {
			return err
		}
	}
	return h.Bus.Live.Flush()
}

// subscribe adds subjects to a channel's watch, and returns when the server
// knows of them.
func (h *Hub) subscribe(ch *Channel, wanted ...string) error {
	for _, subject := range wanted {
		subscription, err := h.Bus.Live.ChanSubscribe(subject, h.inbox)
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.watches[ch] = append(h.watches[ch], subscription)
		h.mu.Unlock()
	}
	return h.Bus.Live.FlushTimeout(openTimeout)
}

// watched lists the open channels.
func (h *Hub) watched() []*Channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*Channel, 0, len(h.channels))
	for _, ch := range h.channels {
		if ch.isOpen() {
			all = append(all, ch)
		}
	}
	return all
}

// FlushAll has every channel's cursors looked at.
func (h *Hub) FlushAll() {
	for _, ch := range h.watched() {
		ch.mu.Lock()
		ch.markDirty()
		ch.mu.Unlock()
	}
}

func (h *Hub) find(tail string) *Channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channels[tail]
}

// Run sorts what comes from the bus until ctx ends, then waits for all tasks.
func (h *Hub) Run(ctx context.Context) {
	defer h.tasks.Wait()
	for _, f := range h.flushers {
		h.Start(f.run)
	}
	h.Start(h.checker.run)
	h.Start(h.rights.run)
	h.Start(h.flushPresence)
	h.Start(func(ctx context.Context) { Every(ctx, Tick, h.sweep) })
	for {
		select {
		case <-ctx.Done():
			return
		case msg := <-h.inbox:
			h.demux(msg)
		}
	}
}

// Every calls f at an interval until ctx ends.
func Every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// Pause waits and says whether ctx still lasts.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Setback notes why something of this node's own was not stored, and returns how soon
// it may be tried again. A refusal that may be taken back, as while the disk is full,
// is no error of ours and not logged.
func Setback(log *slog.Logger, err error, what string, of ...any) time.Duration {
	if refusal, is := errors.AsType[schemas.Refusal](err); is && refusal.Code.Retry() {
		return RefusedPause
	}
	log.Warn(what, append(of, "error", err)...)
	return RetryPause
}
