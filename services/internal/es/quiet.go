package es

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// quietLife is how long the bucket is watched before it is read anew, so that a
// watch which fell silent does no harm for long.
const quietLife = time.Minute

// Quiet knows who does not want to be disturbed, as the presence service has it.
// It is a courtesy: a change takes a moment to arrive.
type Quiet struct {
	mu    sync.RWMutex
	users map[string]struct{}
	known chan struct{} // closed when the users are known for the first time
}

// start follows the bucket "quiet" until ctx ends, and returns when it is known
// who is quiet, or after a while: what is a courtesy holds nothing up.
func (q *Quiet) start(ctx context.Context, running *sync.WaitGroup, nc *nats.Conn, log *slog.Logger) {
	q.known = make(chan struct{})
	running.Go(func() { q.run(ctx, nc, log) })
	select {
	case <-q.known:
	case <-ctx.Done():
	case <-time.After(attempt):
	}
}

func (q *Quiet) run(ctx context.Context, nc *nats.Conn, log *slog.Logger) {
	for ctx.Err() == nil {
		if err := q.follow(ctx, nc); err != nil && ctx.Err() == nil {
			log.Warn("follow who is quiet", "cause", err)
			_ = pause(ctx, time.Second)
		}
	}
}

func (q *Quiet) follow(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, quietLife)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	bucket, err := js.KeyValue(ctx, subjects.BucketQuiet)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", subjects.BucketQuiet, err)
	}
	watch, err := bucket.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch %s: %w", subjects.BucketQuiet, err)
	}
	defer func() {
		_ = watch.Stop()            // gone already with a lost connection
		for range watch.Updates() { // nats.go may wait to hand over an entry
		}
	}()
	users := make(map[string]struct{})
	for {
		select {
		case <-ctx.Done():
			return nil
		case entry, open := <-watch.Updates():
			switch {
			case !open:
				return nil
			case entry == nil:
				q.set(users)
			default:
				q.change(users, entry)
			}
		}
	}
}

// change takes a change in; the users may be those that are known already.
func (q *Quiet) change(users map[string]struct{}, entry jetstream.KeyValueEntry) {
	user, err := subjects.ParseToken(entry.Key())
	if err != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if entry.Operation() == jetstream.KeyValuePut {
		users[user] = struct{}{}
	} else {
		delete(users, user)
	}
}

// set makes the users those that are known, once they are whole.
func (q *Quiet) set(users map[string]struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.users == nil {
		close(q.known)
	}
	q.users = users
}

// Among lists those of some users who do not want to be disturbed.
func (q *Quiet) Among(users []string) []string {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if len(q.users) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(users), func(user string) bool {
		_, quiet := q.users[user]
		return !quiet
	})
}
