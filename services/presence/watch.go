package presence

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/history"
)

// changesAtOnce bounds the changes of a bucket that wait to be taken in. What does
// not fit is read from the bucket at the next look.
const changesAtOnce = 1 << 16

// watch follows the keys of a bucket without a consumer: the feed brings changes as
// they come, and what it lost is read from the bucket now and then.
type watch struct {
	nc      *nats.Conn
	bucket  string
	filter  string
	feed    string // what the bucket's feed puts before a key
	changes chan *nats.Msg
	follows *nats.Subscription
	began   uint64 // revision of the bucket when it opened, whichever key that was of
	reached uint64 // all changes up to here were taken in
}

// change is what a bucket says of a key.
type change struct {
	key      string
	revision uint64
	at       time.Time // by the server's clock
	age      time.Duration
	header   nats.Header
	value    []byte
}

// removed tells that the key is there no longer.
func (c change) removed() bool { return c.header.Get("KV-Operation") != "" || len(c.value) == 0 }

// watch begins to follow. What is there already must be read.
func (k *watcher) watch(ctx context.Context, bucket, feed, filter string) (w *watch, err error) {
	w = &watch{nc: k.nc, bucket: bucket, filter: filter, feed: feed, changes: make(chan *nats.Msg, changesAtOnce)}
	if w.follows, err = k.nc.ChanSubscribe(feed+filter, w.changes); err != nil {
		return nil, fmt.Errorf("watch %s: %w", bucket, err)
	}
	if err := k.nc.FlushTimeout(flushTime); err != nil {
		w.stop()
		return nil, fmt.Errorf("watch %s: %w", bucket, err)
	}
	extent, err := history.Describe(ctx, k.nc, w.stream())
	if err != nil {
		w.stop()
		return nil, fmt.Errorf("watch %s: %w", bucket, err)
	}
	w.began = extent.Last
	return w, nil
}

func (w *watch) stream() string { return "KV_" + w.bucket }

// read takes in what the bucket holds and the feed did not bring before. age says
// how long ago something was, by the server's clock.
func (w *watch) read(ctx context.Context, age func(time.Time) time.Duration, take func(change)) error {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	keys := "$KV." + w.bucket + "."
	last, err := history.Last(ctx, w.nc, w.stream(), keys+w.filter)
	if err != nil {
		return fmt.Errorf("read %s: %w", w.bucket, err)
	}
	_, err = history.Read(ctx, w.nc, w.stream(), keys+w.filter, w.reached, last, func(page history.Page) error {
		for _, fact := range page.Facts {
			take(change{
				key: strings.TrimPrefix(fact.Subject, keys), revision: fact.Sequence,
				at: fact.Time, age: age(fact.Time), header: fact.Header, value: fact.Data,
			})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", w.bucket, err)
	}
	w.reached = max(w.reached, last)
	return nil
}

const (
	readTime  = 30 * time.Second // bounds one look at a bucket
	flushTime = 5 * time.Second  // bounds the wait until the server knows of a watch
)

// changed reads a change from the feed. It is not ok when it is known already, or is
// none.
func (w *watch) changed(msg *nats.Msg) (c change, ok bool) {
	revision, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil || revision <= w.reached {
		return c, false
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return c, false
	}
	return change{key: strings.TrimPrefix(msg.Subject, w.feed), revision: revision, at: at, header: msg.Header, value: msg.Data}, true
}

func (w *watch) stop() { _ = w.follows.Unsubscribe() } // gone already with the connection
