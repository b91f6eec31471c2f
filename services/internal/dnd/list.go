// Package dnd tells services who does not want to be disturbed, as the presence
// service has it in a bucket.
//
// Only packages below services import it; it imports subjects.
package dnd

import (
	"context"
	"encoding/json"
	"log/slog"
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
	stream = "KV_" + subjects.BucketDoNotDisturb
	keys   = "$KV." + subjects.BucketDoNotDisturb + "."
	// check is how often the bucket is read anew, so that a change which the feed did
	// not bring does no harm for long.
	check = time.Minute
	// enough is how long a service waits at its start to know who is on the list.
	enough = 3 * time.Second
)

// List is who does not want to be disturbed. It is a courtesy: a change takes a
// moment to arrive.
type List struct {
	stop func()

	mu      sync.RWMutex
	users   map[string]struct{}
	whole   uint64            // the users hold all changes up to here
	changed map[string]change // what the feed brought since the last reading began
}

// change is what the feed last said of a user.
type change struct {
	seq    uint64
	listed bool
}

// Follow returns the list, which keeps up with the bucket until ctx ends or Stop is
// called. It waits until the list is known, for a while: what is a courtesy holds
// nothing up.
func Follow(ctx context.Context, nc *nats.Conn, log *slog.Logger) (*List, error) {
	l := &List{changed: make(map[string]change)}
	feed, err := nc.Subscribe(subjects.FeedDoNotDisturb+"*", l.tell)
	if err != nil {
		return nil, err
	}
	following, cancel := context.WithCancel(ctx)
	known, ended := make(chan struct{}), make(chan struct{})
	l.stop = func() { cancel(); <-ended }
	go func() {
		defer close(ended)
		l.keep(following, nc, log, sync.OnceFunc(func() { close(known) }))
		_ = feed.Unsubscribe() // gone already with the connection
	}()
	select {
	case <-known:
	case <-ctx.Done():
	case <-time.After(enough):
	}
	return l, nil
}

// Stop ends what follows the bucket, and waits for it.
func (l *List) Stop() { l.stop() }

// Has says whether the user does not want to be disturbed.
func (l *List) Has(user string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, listed := l.users[user]
	return listed
}

// keep reads the bucket now and then until ctx ends; the feed tells what changes
// between.
func (l *List) keep(ctx context.Context, nc *nats.Conn, log *slog.Logger, known func()) {
	for ctx.Err() == nil {
		next := check
		if err := l.read(ctx, nc); err == nil {
			known()
		} else if ctx.Err() == nil {
			log.Warn("read who does not want to be disturbed", "cause", err)
			next = time.Second
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		}
	}
}

// read makes the users those of the bucket, and of what the feed told since.
func (l *List) read(ctx context.Context, nc *nats.Conn) error {
	l.mu.Lock()
	clear(l.changed)
	l.mu.Unlock()
	reading, cancel := context.WithTimeout(ctx, check)
	defer cancel()
	last, err := history.Last(reading, nc, stream, keys+"*")
	if err != nil {
		return err
	}
	users := make(map[string]struct{})
	_, err = history.Read(reading, nc, stream, keys+"*", 0, last, func(page history.Page) error {
		for _, entry := range page.Facts {
			user, err := subjects.ParseToken(strings.TrimPrefix(entry.Subject, keys))
			if err == nil && lists(entry.Data) {
				users[user] = struct{}{}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for user, told := range l.changed {
		if told.seq > last {
			set(users, user, told.listed)
		}
	}
	l.users, l.whole = users, last
	return nil
}

// tell takes a change in that the feed brought.
func (l *List) tell(message *nats.Msg) {
	user, err := subjects.ParseToken(strings.TrimPrefix(message.Subject, subjects.FeedDoNotDisturb))
	seq, err2 := strconv.ParseUint(message.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil || err2 != nil {
		return // not of the bucket
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	told := change{seq, lists(message.Data)}
	if seq <= l.whole || seq < l.changed[user].seq {
		return
	}
	l.changed[user] = told
	if l.users != nil {
		set(l.users, user, told.listed)
	}
}

// lists reads an entry: who may be disturbed again has one without a role for a
// while.
func lists(value []byte) bool {
	var entry struct {
		Role string `json:"role"`
	}
	return json.Unmarshal(value, &entry) == nil && entry.Role != ""
}

func set(users map[string]struct{}, user string, listed bool) {
	if listed {
		users[user] = struct{}{}
	} else {
		delete(users, user)
	}
}
