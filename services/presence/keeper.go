package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
)

// timing is how patient the keeper is.
type timing struct {
	settle    time.Duration // for leases, after the bus was away
	returning time.Duration // for a node whose lease has ended
	sweep     time.Duration // between looks for dead nodes
	progress  time.Duration // between looks whether the watch still follows
}

// A lease that was not refreshed in time, as during an election, is back within
// one refresh.
var patient = timing{settle: topology.LeaseTTL, returning: 3 * time.Second, sweep: time.Second, progress: 15 * time.Second}

// keeper watches sessions, leases, groups and the facts of users: it has the
// reconciler look at whom a change concerns, and removes the sessions of dead
// nodes. Every replica keeps; they come to the same conclusions, and the decider
// and the bucket take each once.
type keeper struct {
	nc         *nats.Conn
	js         jetstream.JetStream
	log        *slog.Logger
	timing     timing
	reconciler *reconciler
	newest     atomic.Pointer[view] // the newest that was whole, for queries
	first      chan struct{}        // closed when there is one
	once       sync.Once
	counts     counts
}

// Reasons to watch anew.
var (
	errLost   = errors.New("the connection was lost")
	errEnded  = errors.New("the watch ended")
	errBehind = errors.New("the watch fell silent")
)

// run keeps until ctx ends. A watch may end with the connection, with a leader,
// or without a word: whatever the cause, it starts over from a snapshot.
func (k *keeper) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := k.keep(ctx); ctx.Err() == nil {
			k.log.Warn("watch again", "cause", err)
			select {
			case <-ctx.Done():
			case <-time.After(k.timing.sweep):
			}
		}
	}
}

// life is one life of the watches.
type life struct {
	*keeper
	view     *view
	task     *task
	sessions *watch
	leases   *watch
	groups   *watch
	users    chan es.Snapshot[User]
	missing  int // snapshots that are not whole yet: until then nobody is looked at
}

// keep runs one life of the watches.
func (k *keeper) keep(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lost := k.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer k.nc.RemoveStatusListener(lost)
	l := &life{keeper: k, view: newView(k.timing, time.Now(), &k.counts), users: make(chan es.Snapshot[User], 256), missing: 3}
	for _, w := range []struct {
		watch  **watch
		bucket string
		filter string
	}{
		{&l.sessions, subjects.BucketPresence, ">"}, {&l.leases, subjects.BucketNodes, ">"}, {&l.groups, subjects.BucketMembers, "group.>"},
	} {
		var err error
		if *w.watch, err = k.watch(ctx, w.bucket, w.filter); err != nil {
			return err
		}
		defer (*w.watch).stop()
	}
	l.view.members = l.groups.began
	l.task = &task{view: l.view, bucket: l.sessions.bucket, opened: l.sessions.opened}
	followed, err := l.follow(ctx, cancel)
	if err != nil {
		return err
	}
	defer func() { cancel(nil); <-followed }()
	return l.run(ctx, lost)
}

// run takes in what the watches bring until one of them fails.
func (l *life) run(ctx context.Context, lost <-chan nats.Status) (err error) {
	sweep, progress := time.NewTicker(l.timing.sweep), time.NewTicker(l.timing.progress)
	defer sweep.Stop()
	defer progress.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-lost:
			return errLost
		case entry, open := <-l.sessions.Updates():
			err = l.take(l.sessions, entry, open, func() string { return l.view.session(entry, time.Now()) })
		case entry, open := <-l.groups.Updates():
			err = l.take(l.groups, entry, open, func() string { return l.view.member(entry) })
		case entry, open := <-l.leases.Updates():
			switch {
			case !open:
				return errEnded
			case entry != nil:
				l.leases.reached(entry)
				l.view.lease(entry, time.Now())
			}
		case snapshot := <-l.users:
			if snapshot.Seq == 0 {
				l.whole()
				continue
			}
			l.look(l.view.fact(snapshot))
		case <-sweep.C:
			if l.missing == 0 {
				err = l.bury(ctx, sweep)
			}
		case <-progress.C:
			err = errors.Join(l.sessions.check(ctx), l.leases.check(ctx), l.groups.check(ctx))
			l.look(l.view.aged(time.Now())...)
		}
	}
	return err
}

// take takes one change in; none says that the snapshot is whole.
func (l *life) take(w *watch, entry jetstream.KeyValueEntry, open bool, change func() (user string)) error {
	switch {
	case !open:
		return errEnded
	case entry == nil:
		l.whole()
	default:
		w.reached(entry)
		l.look(change())
	}
	return nil
}

// whole notes that one more snapshot has come. After the last one everybody is
// looked at: they came or went while nobody kept.
func (l *life) whole() {
	if l.missing--; l.missing == 0 {
		l.view.counting()
		l.newest.Store(l.view)
		l.once.Do(func() { close(l.first) })
		l.look(l.view.everyone()...)
	}
}

func (l *life) look(users ...string) {
	for _, user := range users {
		if user != "" && l.missing == 0 {
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

// buriedAtOnce bounds how many sessions are removed before leases are looked at
// again: their node may be back.
const buriedAtOnce = 256

// bury removes sessions of dead nodes, unless they were written again, and sees to
// it that the rest follows soon.
func (l *life) bury(ctx context.Context, sweep *time.Ticker) error {
	sweep.Reset(l.timing.sweep)
	buried := 0
	for key, revision := range l.view.dead(time.Now()) {
		if buried++; buried > buriedAtOnce {
			sweep.Reset(time.Millisecond)
			return nil
		}
		err := l.sessions.bucket.Purge(ctx, key, jetstream.LastRevision(revision), jetstream.PurgeTTL(topology.MarkerTTL))
		if err != nil && !moved(err) {
			return fmt.Errorf("remove session: %w", err)
		}
	}
	return nil
}
