package es

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

const (
	quietStream = "KV_" + subjects.BucketQuiet
	quietKeys   = "$KV." + subjects.BucketQuiet + "."
	// quietCheck is how often the bucket is read anew, so that a change which the
	// feed did not bring does no harm for long.
	quietCheck = time.Minute
)

// Quiet knows who does not want to be disturbed, as the presence service has it.
// It is a courtesy: a change takes a moment to arrive.
type Quiet struct {
	mu      sync.RWMutex
	users   map[string]struct{}
	whole   uint64            // the users hold all changes up to here
	changed map[string]change // what the feed brought since the last reading began
}

// change is what the feed last said of a user: who is not quiet any more has an
// entry without a role for a while.
type change struct {
	seq   uint64
	quiet bool
}

// start follows the bucket "quiet" until ctx ends, and returns when it is known
// who is quiet, or after a while: what is a courtesy holds nothing up.
func (q *Quiet) start(ctx context.Context, running *sync.WaitGroup, nc *nats.Conn, log *slog.Logger) error {
	q.changed = make(map[string]change)
	feed, err := nc.Subscribe(subjects.FeedQuiet+"*", q.tell)
	if err != nil {
		return err
	}
	known := make(chan struct{})
	running.Go(func() {
		q.keep(ctx, nc, log, sync.OnceFunc(func() { close(known) }))
		_ = feed.Unsubscribe() // gone already with the connection
	})
	select {
	case <-known:
	case <-ctx.Done():
	case <-time.After(attempt):
	}
	return nil
}

// keep reads the bucket now and then until ctx ends; the feed tells what changes
// between.
func (q *Quiet) keep(ctx context.Context, nc *nats.Conn, log *slog.Logger, known func()) {
	for ctx.Err() == nil {
		next := quietCheck
		if err := q.read(ctx, nc); err == nil {
			known()
		} else if ctx.Err() == nil {
			log.Warn("read who is quiet", "cause", err)
			next = time.Second
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		}
	}
}

// read makes the users those of the bucket, and of what the feed told since.
func (q *Quiet) read(ctx context.Context, nc *nats.Conn) error {
	q.mu.Lock()
	clear(q.changed)
	q.mu.Unlock()
	reading, cancel := context.WithTimeout(ctx, quietCheck)
	defer cancel()
	last, err := history.Last(reading, nc, quietStream, quietKeys+"*")
	if err != nil {
		return err
	}
	users := make(map[string]struct{})
	_, err = history.Read(reading, nc, quietStream, quietKeys+"*", 0, last, func(page history.Page) error {
		for _, entry := range page.Facts {
			user, err := subjects.ParseToken(strings.TrimPrefix(entry.Subject, quietKeys))
			if err == nil && subjects.ReadMembership(entry.Data).Role != "" {
				users[user] = struct{}{}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for user, told := range q.changed {
		if told.seq > last {
			set(users, user, told.quiet)
		}
	}
	q.users, q.whole = users, last
	return nil
}

// tell takes a change in that the feed brought.
func (q *Quiet) tell(message *nats.Msg) {
	user, err := subjects.ParseToken(strings.TrimPrefix(message.Subject, subjects.FeedQuiet))
	seq, err2 := strconv.ParseUint(message.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil || err2 != nil {
		return // not of the bucket
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	told := change{seq, subjects.ReadMembership(message.Data).Role != ""}
	if seq <= q.whole || seq < q.changed[user].seq {
		return
	}
	q.changed[user] = told
	if q.users != nil {
		set(q.users, user, told.quiet)
	}
}

func set(users map[string]struct{}, user string, quiet bool) {
	if quiet {
		users[user] = struct{}{}
	} else {
		delete(users, user)
	}
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
