package presence

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// watch is a watch on a whole bucket that knows whether it still follows.
type watch struct {
	jetstream.KeyWatcher
	bucket  jetstream.KeyValue
	opened  time.Time // by the server's clock: what comes later is newer
	newest  uint64    // revision that the watch has reached
	leading uint64    // revision that the bucket had at the last check
}

func (k *keeper) watch(ctx context.Context, name string) (*watch, error) {
	bucket, err := k.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	w := &watch{bucket: bucket}
	if w.newest, w.opened, err = w.last(ctx); err != nil {
		return nil, err
	}
	w.leading = w.newest
	if w.KeyWatcher, err = bucket.WatchAll(ctx); err != nil {
		return nil, fmt.Errorf("watch %s: %w", name, err)
	}
	return w, nil
}

// last is the newest revision of the bucket, gone or not, and the server's time.
func (w *watch) last(ctx context.Context) (uint64, time.Time, error) {
	status, err := w.bucket.Status(ctx)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("status of %s: %w", w.bucket.Bucket(), err)
	}
	kept, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return 0, time.Time{}, fmt.Errorf("status of %s: a %T", w.bucket.Bucket(), status)
	}
	info := kept.StreamInfo()
	return info.State.LastSeq, info.TimeStamp, nil
}

func (w *watch) reached(entry jetstream.KeyValueEntry) { w.newest = max(w.newest, entry.Revision()) }

// check fails when the watch has not reached what the bucket held at the check
// before this one.
func (w *watch) check(ctx context.Context) error {
	if w.newest < w.leading {
		return fmt.Errorf("%w: bucket %s at %d, watch at %d", errBehind, w.bucket.Bucket(), w.leading, w.newest)
	}
	last, _, err := w.last(ctx)
	w.leading = last
	return err
}

// stop ends the watch, and the goroutine that may wait to hand over an entry.
func (w *watch) stop() {
	_ = w.Stop() // ended already when the connection is closed
	for range w.Updates() {
	}
}

// claimed lists the users whose last fact is not "offline".
func (k *keeper) claimed(ctx context.Context) ([]string, error) {
	consumer, err := k.js.OrderedConsumer(ctx, subjects.Catalog[user.Kind].Stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: true,
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = k.js.DeleteConsumer(ctx, subjects.Catalog[user.Kind].Stream, consumer.CachedInfo().Name) }()
	var users []string
	for left := consumer.CachedInfo().NumPending; left > 0; {
		batch, err := consumer.Fetch(int(min(left, 1000)))
		if err != nil {
			return nil, err
		}
		for message := range batch.Messages() {
			left--
			channel, err := subjects.ParseEvent(message.Subject())
			if err == nil && message.Headers().Get(subjects.HeaderEvent) != "offline" {
				users = append(users, channel.ID)
			}
		}
		if err := batch.Error(); err != nil {
			return nil, err
		}
	}
	return users, nil
}
