package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
)

const (
	shardCount = 16
	workTime   = 15 * time.Second
	workRest   = time.Second // before what failed is tried again
)

// reconciler makes the facts and the cards of users agree with the view: what
// differs is reported to the decider, and written. It looks at the view when it
// comes to a user, so that a burst of changes costs one look.
type reconciler struct {
	nc     *nats.Conn
	log    *slog.Logger
	seed   maphash.Seed
	shards [shardCount]shard
}

// shard holds the users to look at, each in one shard.
type shard struct {
	signal chan struct{}

	mu    sync.Mutex
	users map[string]*task
}

// task is to look at a user in a life of the watches.
type task struct {
	view   *view
	opened time.Time // when that life began, by the server's clock
}

func newReconciler(nc *nats.Conn, log *slog.Logger) *reconciler {
	r := &reconciler{nc: nc, log: log, seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].signal = make(chan struct{}, 1)
		r.shards[i].users = make(map[string]*task)
	}
	return r
}

// look has a user looked at. It never waits.
func (r *reconciler) look(user string, t *task) {
	s := &r.shards[maphash.String(r.seed, user)%shardCount]
	s.mu.Lock()
	s.users[user] = t
	s.mu.Unlock()
	s.wake()
}

// run works until ctx ends.
func (r *reconciler) run(ctx context.Context) {
	var running sync.WaitGroup
	for i := range r.shards {
		running.Go(func() { r.shards[i].run(ctx, r) })
	}
	running.Wait()
}

func (s *shard) run(ctx context.Context, r *reconciler) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.signal:
		}
		for user, t := range s.take() {
			if err := r.reconcile(ctx, user, t); err != nil && ctx.Err() == nil {
				r.log.Warn("reconcile", "user", user, "cause", err)
				s.putBack(user, t)
			}
		}
	}
}

func (s *shard) take() map[string]*task {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.users
	s.users = make(map[string]*task)
	return taken
}

// putBack keeps a task for later unless a newer one is there.
func (s *shard) putBack(user string, t *task) {
	s.mu.Lock()
	if _, newer := s.users[user]; !newer {
		s.users[user] = t
	}
	s.mu.Unlock()
	time.AfterFunc(workRest, s.wake)
}

func (s *shard) wake() {
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

func (r *reconciler) reconcile(ctx context.Context, user string, t *task) error {
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	if seen, facts, news := t.view.observation(user, t.opened); news {
		stored, err := r.report(ctx, user, seen, facts)
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if stored {
			return nil // the fact comes back, and the cards after it
		}
	}
	for _, c := range t.view.changes(user, time.Now()) {
		if err := r.write(ctx, c); err != nil && !moved(err) {
			return fmt.Errorf("card: %w", err)
		}
	}
	return nil
}

// report tells the decider, and whether facts follow that we do not know. What it
// drops as old, or refuses, is no reason to leave the cards as they are.
func (r *reconciler) report(ctx context.Context, user string, seen presence.Observe, facts uint64) (stored bool, err error) {
	sequence, err := es.Call{
		Channel: subjects.Channel{Kind: "user", ID: user},
		Command: "observe",
		From:    "service:presence",
		Key:     observationKey(seen.At, strconv.FormatUint(facts, 36)),
		Body:    seen,
	}.Do(ctx, r.nc)
	if refusal, refused := errors.AsType[schemas.Refusal](err); refused && !refusal.Code.Retry() {
		r.log.Error("report presence", "user", user, "cause", err)
		return false, nil
	}
	return sequence > facts, err
}

// write changes a card, unless another replica was first. Where one was removed the
// bucket may have forgotten that already.
func (r *reconciler) write(ctx context.Context, c correction) error {
	err := r.send(ctx, c)
	if err != nil && moved(err) && c.value != nil && c.revision > 0 {
		c.revision = 0
		err = r.send(ctx, c)
	}
	return err
}

func (r *reconciler) send(ctx context.Context, c correction) error {
	msg := seat.Leave(c.key, 0)
	if c.value != nil {
		msg = seat.Hold(c.key, c.value)
	}
	seat.ExpectRevision(msg, c.revision)
	reply, err := r.nc.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return err
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return err
	}
	if ack.Error != nil {
		return ack.Error
	}
	return nil
}

// moved tells that a key has a newer revision: another replica was first.
func moved(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
