package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas/presence"
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

// keeper watches the buckets "presence" and "nodes": it reports users who come
// and go, and removes the sessions of dead nodes. Every replica keeps; they come
// to the same conclusions, and the decider takes each once.
type keeper struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	log      *slog.Logger
	timing   timing
	reporter *reporter
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

// keep runs one life of the watches.
func (k *keeper) keep(ctx context.Context) error {
	lost := k.nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	defer k.nc.RemoveStatusListener(lost)
	sessions, err := k.watch(ctx, subjects.BucketPresence)
	if err != nil {
		return err
	}
	defer sessions.stop()
	leases, err := k.watch(ctx, subjects.BucketNodes)
	if err != nil {
		return err
	}
	defer leases.stop()
	sweep, progress := time.NewTicker(k.timing.sweep), time.NewTicker(k.timing.progress)
	defer sweep.Stop()
	defer progress.Stop()
	view, whole := newView(k.timing, time.Now()), false
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-lost:
			return errLost
		case entry, open := <-sessions.Updates():
			switch {
			case !open:
				return errEnded
			case entry == nil:
				whole = true
				err = k.compare(ctx, view, sessions.opened)
			default:
				k.session(view, sessions, entry, whole)
			}
		case entry, open := <-leases.Updates():
			if !open {
				return errEnded
			}
			if entry != nil {
				leases.reached(entry)
				view.lease(entry, time.Now())
			}
		case <-sweep.C:
			if whole {
				err = k.bury(ctx, sessions.bucket, view.dead(time.Now()))
			}
		case <-progress.C:
			err = errors.Join(sessions.check(ctx), leases.check(ctx))
		}
		if err != nil {
			return err
		}
	}
}

// session takes one change in. Until the snapshot is whole nobody is reported:
// a user's other sessions may be yet to come.
func (k *keeper) session(v *view, w *watch, entry jetstream.KeyValueEntry, whole bool) {
	w.reached(entry)
	if user, changed := v.session(entry, time.Now()); changed && whole {
		k.reporter.report(user, presence.Observe{Online: v.online(user), At: entry.Created()})
	}
}

// compare reports everyone who is there, and those who are not but whose last
// fact says that they were: they left while nobody kept.
func (k *keeper) compare(ctx context.Context, v *view, at time.Time) error {
	for user := range v.users {
		k.reporter.report(user, presence.Observe{Online: true, At: at})
	}
	claimed, err := k.claimed(ctx)
	if err != nil {
		return fmt.Errorf("read last facts: %w", err)
	}
	for _, user := range claimed {
		if !v.online(user) {
			k.reporter.report(user, presence.Observe{Online: false, At: at})
		}
	}
	return nil
}

// bury removes sessions of dead nodes, unless they were written again.
func (k *keeper) bury(ctx context.Context, bucket jetstream.KeyValue, dead map[string]uint64) error {
	for key, revision := range dead {
		err := bucket.Purge(ctx, key, jetstream.LastRevision(revision), jetstream.PurgeTTL(topology.MarkerTTL))
		if err != nil && !moved(err) {
			return fmt.Errorf("remove session: %w", err)
		}
	}
	return nil
}

// moved tells that a key has a newer revision: another replica was first, or the
// session is back.
func moved(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
