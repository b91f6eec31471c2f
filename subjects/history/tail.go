package history

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Before returns a sequence behind which all facts of the subject since a time
// follow, and at most a few older ones. A replica that lags may find none, so the
// leader has a say: while it knows of one, it is asked again until ctx ends.
func Before(ctx context.Context, nc *nats.Conn, stream, subject string, since time.Time) (uint64, error) {
	for {
		first, _, err := probe(ctx, nc, stream, map[string]any{"start_time": since, "next_by_subj": subject, "batch": 1})
		if err != nil || first > 0 {
			return max(first, 1) - 1, err
		}
		last, found, err := LastMessage(ctx, nc, stream, subject)
		if err != nil || !found || last.Time.Before(since) {
			return last.Sequence, err
		}
		if !pause(ctx, 10*time.Millisecond) {
			return 0, fmt.Errorf("before %s: %w", since, context.Cause(ctx))
		}
	}
}

// Tail returns a sequence behind which the last n facts of the subject follow, or
// all when there are fewer. JetStream does not read backward, but counts what
// follows a sequence, so the place is found by halving.
func Tail(ctx context.Context, nc *nats.Conn, stream, subject string, n uint64) (uint64, error) {
	count := func(after uint64) (first, following uint64, err error) {
		return probe(ctx, nc, stream, map[string]any{"seq": after + 1, "next_by_subj": subject, "batch": 1})
	}
	low, total, err := count(0)
	if err != nil || total <= n {
		return max(low, 1) - 1, err
	}
	high, err := Last(ctx, nc, stream, subject)
	if err != nil {
		return 0, err
	}
	// More than n facts follow low-1; at most n follow high.
	for low < high {
		middle := low + (high-low)/2
		_, following, err := count(middle)
		if err != nil {
			return 0, err
		}
		if following > n {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low, nil
}

// probe reads the first fact that matches and how many there are from it on; the
// sequence is 0 when there is none.
func probe(ctx context.Context, nc *nats.Conn, stream string, request map[string]any) (first, count uint64, err error) {
	page, err := get(ctx, nc, stream, request)
	if err != nil {
		return 0, 0, err
	}
	if len(page.Facts) == 0 {
		return 0, 0, nil
	}
	return page.Facts[0].Sequence, page.Pending + 1, nil
}
