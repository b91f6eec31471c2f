package presence

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/history"
)

// watch is a watch on the keys of a bucket that knows whether it still follows.
type watch struct {
	jetstream.KeyWatcher
	nc      *nats.Conn
	bucket  jetstream.KeyValue
	filter  string
	opened  time.Time // by the server's clock: what comes later is newer
	began   uint64    // revision of the bucket when it opened, whichever key that was of
	newest  uint64    // revision that the watch has reached
	leading uint64    // revision that the bucket had at the last check
}

func (k *keeper) watch(ctx context.Context, name, filter string) (*watch, error) {
	bucket, err := k.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	w := &watch{nc: k.nc, bucket: bucket, filter: filter}
	if w.opened, w.began, err = w.now(ctx); err != nil {
		return nil, err
	}
	if w.newest, err = w.last(ctx); err != nil {
		return nil, err
	}
	w.leading = w.newest
	if w.KeyWatcher, err = bucket.Watch(ctx, filter); err != nil {
		return nil, fmt.Errorf("watch %s: %w", name, err)
	}
	return w, nil
}

// last is the newest revision of the keys, gone or not.
func (w *watch) last(ctx context.Context) (uint64, error) {
	name := w.bucket.Bucket()
	return history.Last(ctx, w.nc, "KV_"+name, "$KV."+name+"."+w.filter)
}

// now is the time by the server's clock, and the newest revision of the bucket. That
// counts markers which are gone already, so nobody has seen more.
func (w *watch) now(ctx context.Context) (at time.Time, revision uint64, err error) {
	status, err := w.bucket.Status(ctx)
	if err != nil {
		return at, 0, fmt.Errorf("status of %s: %w", w.bucket.Bucket(), err)
	}
	kept, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return at, 0, fmt.Errorf("status of %s: a %T", w.bucket.Bucket(), status)
	}
	info := kept.StreamInfo()
	return info.TimeStamp, info.State.LastSeq, nil
}

func (w *watch) reached(entry jetstream.KeyValueEntry) { w.newest = max(w.newest, entry.Revision()) }

// check fails when the watch has not reached what the bucket held at the check
// before this one.
func (w *watch) check(ctx context.Context) error {
	if w.newest < w.leading {
		return fmt.Errorf("%w: bucket %s at %d, watch at %d", errBehind, w.bucket.Bucket(), w.leading, w.newest)
	}
	last, err := w.last(ctx)
	w.leading = last
	return err
}

// stop ends the watch, and the goroutine that may wait to hand over an entry.
func (w *watch) stop() {
	_ = w.Stop() // ended already when the connection is closed
	for range w.Updates() {
	}
}
