package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

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
	tick       = time.Second
	retryPause = 250 * time.Millisecond
)

// bus holds the connections to NATS, one for each kind of traffic, so that a
// large replay never delays what is live.
type bus struct {
	Live    *nats.Conn // subscriptions
	Publish *nats.Conn // requests, publishes, presence
	Replay  *nats.Conn // history
}

// hub holds the watched channels of this node and sorts what comes from the bus.
type hub struct {
	bus      bus
	log      *slog.Logger
	metrics  *hubMetrics
	kinds    map[string]subjects.Kind
	flushers []*flusher
	next     atomic.Uint64 // flusher for an outlet
	replays  chan struct{}
	inbox    chan *nats.Msg
	leases   *lease.Leases
	checker  *checker
	rights   *rights
	degraded atomic.Bool
	absent   atomic.Pointer[string] // a stream that should be there and is not

	frameLimit int // of what browsers send

	ctx   context.Context // ends what start began
	tasks sync.WaitGroup

	mu       sync.Mutex
	channels map[string]*channel // by the tail of their subjects
	watches  map[*channel][]*nats.Subscription

	stirred map[*channel]struct{} // whose presence has changed since it was last told
	waiting map[*channel]struct{} // where somebody may come back

	onMember   func(channel subjects.Channel, user string)
	onPresence func(channel subjects.Channel, seen sighting) (outlived bool)
}

// hubConfig is what a hub is told.
type hubConfig struct {
	Bus      bus
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
	OnPresence func(channel subjects.Channel, seen sighting) (outlived bool)
}

func newHub(c hubConfig) *hub {
	h := &hub{
		bus: c.Bus, log: c.Log, metrics: newHubMetrics(c.Registry), kinds: c.Kinds, leases: c.Leases, frameLimit: c.Frame,
		onMember: c.OnMember, onPresence: c.OnPresence,
		replays: make(chan struct{}, replaysAtOnce), inbox: make(chan *nats.Msg, inboxSize),
		channels: make(map[string]*channel), watches: make(map[*channel][]*nats.Subscription),
		stirred: make(map[*channel]struct{}), waiting: make(map[*channel]struct{}),
	}
	for i := range c.Flushers {
		h.flushers = append(h.flushers, newFlusher(i, h.metrics))
	}
	h.checker = newChecker(h)
	h.rights = newRights(h)
	return h
}

// bind sets what ends the hub's tasks; it comes before everything else.
func (h *hub) bind(ctx context.Context) { h.ctx = ctx }

// kind finds the kind of a channel.
func (h *hub) kind(name subjects.Channel) (subjects.Kind, bool) {
	kind, known := h.kinds[name.Kind]
	return kind, known
}

// lookup is the channel of a name, if it is watched, or nil.
func (h *hub) lookup(name subjects.Channel) *channel { return h.find(tail(name)) }

// checkAll has all channels compared with their streams soon.
func (h *hub) checkAll() { h.checker.everything() }

// settle makes every watched channel whole, and returns when it is: after what may
// have cost a stream its tail, thoroughly.
func (h *hub) settle(ctx context.Context) error { return h.checker.settle(ctx, true) }

// missing is the name of a stream that should be there and is not, or "".
func (h *hub) missing() string {
	if stream := h.absent.Load(); stream != nil {
		return *stream
	}
	return ""
}

// start runs a task of the hub's; run waits for it.
func (h *hub) start(task func(context.Context)) {
	h.tasks.Go(func() { task(h.ctx) })
}

// acquire returns the open channel of a name, to be given back by release.
func (h *hub) acquire(ctx context.Context, name subjects.Channel) (*channel, error) {
	h.mu.Lock()
	ch := h.channels[tail(name)]
	if ch == nil {
		ch = h.newChannel(name)
		h.channels[tail(name)] = ch
		h.start(func(ctx context.Context) { h.open(ctx, ch) })
	}
	ch.refs++
	h.mu.Unlock()
	select {
	case <-ch.opened:
	case <-ctx.Done():
		h.release(ch)
		return nil, context.Cause(ctx)
	}
	if ch.failed != nil {
		h.release(ch)
		return nil, ch.failed
	}
	return ch, nil
}

func (h *hub) newChannel(name subjects.Channel) *channel {
	ch := &channel{
		hub: h, name: name, label: name.String(), kind: h.kinds[name.Kind], opened: make(chan struct{}),
		cursors: make([][]*cursor, len(h.flushers)), queued: make([]bool, len(h.flushers)),
	}
	ch.healing = ch.durable()
	h.metrics.channels.Inc()
	return ch
}

func (h *hub) open(ctx context.Context, ch *channel) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	defer close(ch.opened)
	if err := ch.open(ctx); err != nil {
		ch.failed = fmt.Errorf("open %s: %w", ch.name, err)
		h.mu.Lock()
		h.forget(ch)
		h.mu.Unlock()
		return
	}
	if ch.durable() {
		h.checker.soon(ch)
	}
}

// openTimeout bounds the opening of a channel: a cluster may be without a leader
// for 7 s.
const openTimeout = 10 * time.Second

func (h *hub) release(ch *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	ch.refs--
	ch.idle = 0
}

// sweep closes the channels that nobody has used for a while.
func (h *hub) sweep() {
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
func (h *hub) forget(ch *channel) {
	if h.channels[tail(ch.name)] != ch {
		return
	}
	for _, subscription := range h.watches[ch] {
		_ = subscription.Unsubscribe() // it fails when the connection is closed, and then it is gone
	}
	delete(h.watches, ch)
	delete(h.channels, tail(ch.name))
	h.metrics.channels.Dec()
}

// watch subscribes to what a channel's ring is made of.
func (h *hub) watch(ch *channel) error {
	wanted := []string{ch.name.Live()}
	if ch.durable() {
		wanted = append(wanted, ch.name.Feed())
	}
	return h.subscribe(ch, wanted...)
}

// unwatch ends the subscriptions that a channel's ring is made of, until it is
// watched again.
func (h *hub) unwatch(ch *channel) error {
	h.mu.Lock()
	watches := h.watches[ch]
	delete(h.watches, ch)
	h.mu.Unlock()
	for _, subscription := range watches {
		if err := subscription.Unsubscribe(); err != nil {
			return err
		}
	}
	return h.bus.Live.Flush()
}

// subscribe adds subjects to a channel's watch, and returns when the server
// knows of them.
func (h *hub) subscribe(ch *channel, wanted ...string) error {
	for _, subject := range wanted {
		subscription, err := h.bus.Live.ChanSubscribe(subject, h.inbox)
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.watches[ch] = append(h.watches[ch], subscription)
		h.mu.Unlock()
	}
	return h.bus.Live.FlushTimeout(openTimeout)
}

// watched lists the open channels.
func (h *hub) watched() []*channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*channel, 0, len(h.channels))
	for _, ch := range h.channels {
		if ch.isOpen() {
			all = append(all, ch)
		}
	}
	return all
}

// dirty has every channel's cursors looked at.
func (h *hub) dirty() {
	for _, ch := range h.watched() {
		ch.mu.Lock()
		ch.dirty()
		ch.mu.Unlock()
	}
}

func (h *hub) find(tail string) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.channels[tail]
}

// run sorts what comes from the bus until ctx ends, then waits for all tasks.
func (h *hub) run(ctx context.Context) {
	defer h.tasks.Wait()
	for _, f := range h.flushers {
		h.start(f.run)
	}
	h.start(h.checker.run)
	h.start(h.rights.run)
	h.start(h.tellPresence)
	h.start(func(ctx context.Context) { every(ctx, tick, h.sweep) })
	for {
		select {
		case <-ctx.Done():
			return
		case msg := <-h.inbox:
			h.sort(msg)
		}
	}
}

// every calls f at an interval until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
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

// pause waits and says whether ctx still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
