package presence

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/lease"
)

// timing is how often the watcher looks.
type timing struct {
	expire   time.Duration // for who was waited for in vain
	progress time.Duration // for changes that the feeds did not bring
	anew     time.Duration // at everything, as if for the first time
}

var patient = timing{expire: 250 * time.Millisecond, progress: 15 * time.Second, anew: time.Hour}

// watcher follows sessions, leases, groups and the facts of users, and has the
// reconciler look at whom a change concerns. Every replica keeps; they come to the
// same conclusions, and the decider and the bucket take each once.
type watcher struct {
	nc         *nats.Conn
	log        *slog.Logger
	timing     timing
	reconciler *reconciler
	leases     *lease.Leases
	begun      chan struct{}        // closed when the leases are known
	newest     atomic.Pointer[view] // the newest that was whole, for queries
	first      chan struct{}        // closed when there is one
	once       sync.Once
	counts     counts

	changed chan struct{} // holds one when nodes have changed
	mu      sync.Mutex
	nodes   map[string]struct{} // that were lost or are back
}

func newWatcher(nc *nats.Conn, log *slog.Logger, t timing) *watcher {
	k := &watcher{
		nc: nc, log: log, timing: t, reconciler: newReconciler(nc, log),
		begun: make(chan struct{}), first: make(chan struct{}), changed: make(chan struct{}, 1), nodes: make(map[string]struct{}),
	}
	k.leases = lease.New(lease.Config{
		Node: subjects.NodePresence, Feed: nc, Ask: nc, Doubt: true, Shared: true, Changed: k.nodeChanged,
		Stored: func(err error) {
			if err != nil {
				log.Warn("nothing is stored: nobody counts as gone until that is over", "cause", err)
			}
		},
	})
	return k
}

// nodeChanged has those looked at who are there through a node.
func (k *watcher) nodeChanged(node string, change lease.Change) {
	if change == lease.Lost {
		k.counts.leasesLost.Add(1)
	}
	k.mu.Lock()
	k.nodes[node] = struct{}{}
	k.mu.Unlock()
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// changedNodes takes the nodes that have changed.
func (k *watcher) changedNodes() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	nodes := slices.Collect(maps.Keys(k.nodes))
	clear(k.nodes)
	return nodes
}

// Reasons to look anew.
var (
	errLost = errors.New("the connection was lost")
	errAnew = errors.New("it is time to look at everything anew")
)

// retryPause is how soon is looked again after that failed.
const retryPause = time.Second

// run keeps until ctx ends. Whatever ends a look, it starts over from a snapshot.
func (k *watcher) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() {
		if err := k.leases.Run(ctx, func() { close(k.begun) }); err != nil {
			k.log.Error("leases", "error", err)
		}
	})
	for ctx.Err() == nil {
		err := k.keep(ctx)
		if ctx.Err() != nil || errors.Is(err, errAnew) {
			continue
		}
		k.log.Warn("look again", "cause", err)
		select {
		case <-ctx.Done():
		case <-time.After(retryPause):
		}
	}
}

// life is one look at everything, and what follows.
type life struct {
	*watcher
	view     *view
	task     *task
	sessions *watch
	groups   *watch
	users    chan es.Snapshot[User]
	known    bool // everything was looked at: until then nobody is reported
}

// keep looks at everything and follows until that fails.
func (k *watcher) keep(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := k.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer k.nc.RemoveStatusListener(lost)
	select {
	case <-k.begun:
	case <-lost:
		return errLost
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	l := &life{watcher: k, view: newView(k.leases, &k.counts), users: make(chan es.Snapshot[User], 256)}
	if l.sessions, err = k.watch(ctx, subjects.BucketPresence, subjects.FeedPresence, ">"); err != nil {
		return err
	}
	defer l.sessions.stop()
	if l.groups, err = k.watch(ctx, subjects.BucketMembers, subjects.FeedMembers, "group.>"); err != nil {
		return err
	}
	defer l.groups.stop()
	l.view.members = l.groups.began
	l.task = &task{view: l.view, opened: k.leases.Now()}
	if err := l.read(ctx); err != nil {
		return err
	}
	followed, err := l.follow(ctx, cancel)
	if err != nil {
		return err
	}
	defer func() { cancel(nil); <-followed }()
	return l.run(ctx, lost)
}

// read takes in what the buckets hold and the feeds did not bring.
func (l *life) read(ctx context.Context) error {
	take := func(into func(change) string) func(change) { return func(c change) { l.look(into(c)) } }
	return errors.Join(
		l.sessions.read(ctx, l.leases.Since, take(l.view.session)),
		l.groups.read(ctx, l.leases.Since, take(l.view.member)),
	)
}

// run takes in what comes until something fails.
func (l *life) run(ctx context.Context, lost <-chan nats.Status) (err error) {
	expire, progress := time.NewTicker(l.timing.expire), time.NewTicker(l.timing.progress)
	defer expire.Stop()
	defer progress.Stop()
	anew := time.NewTimer(l.timing.anew)
	defer anew.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-lost:
			return errLost
		case <-anew.C:
			return errAnew
		case msg := <-l.sessions.changes:
			if c, ok := l.sessions.changed(msg); ok {
				l.look(l.view.session(c))
			}
		case msg := <-l.groups.changes:
			if c, ok := l.groups.changed(msg); ok {
				l.look(l.view.member(c))
			}
		case <-l.changed:
			for _, node := range l.changedNodes() {
				l.look(l.view.review(node, l.leases.Now())...)
			}
		case snapshot := <-l.users:
			if snapshot.Seq == 0 {
				l.whole()
				continue
			}
			l.look(l.view.fact(snapshot))
		case <-expire.C:
			l.look(l.view.expire(l.leases.Now())...)
		case <-progress.C:
			err = l.read(ctx)
			l.look(l.view.aged(time.Now())...)
		}
	}
	return err
}

// whole notes that everything was looked at. Now everybody is: they came or went
// while nobody kept.
func (l *life) whole() {
	l.known = true
	l.view.counting()
	l.newest.Store(l.view)
	l.once.Do(func() { close(l.first) })
	l.look(l.view.everyone()...)
}

func (l *life) look(users ...string) {
	for _, user := range users {
		if user != "" && l.known {
			l.reconciler.look(user, l.task)
		}
	}
}

// follow brings the facts of users until ctx ends; when it fails it ends the life.
func (l *life) follow(ctx context.Context, end context.CancelCauseFunc) (followed <-chan struct{}, err error) {
	follower, err := es.Follow(l.nc, user)
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	tell := func(s es.Snapshot[User]) {
		select {
		case l.users <- s:
		case <-ctx.Done():
		}
	}
	go func() {
		defer close(done)
		end(follower.Run(ctx, tell, func() { tell(es.Snapshot[User]{}) }))
	}()
	return done, nil
}
