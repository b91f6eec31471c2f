package kit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	schema "github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
)

// Seated lists the seats on which somebody is there, in order, as the buckets have
// it: of the keys that match a filter, those of nodes with a lease, and of sessions
// that may still come back.
func Seated(ctx context.Context, nc *nats.Conn, filter string) ([]Seat, error) {
	nodes := leased{}
	err := each(ctx, nc, subjects.BucketNodes, ">", func(key string, fact history.Fact) {
		if node, err := subjects.ParseToken(key); err == nil {
			nodes[node] = fact.Header.Get("KV-Operation") == ""
		}
	})
	if err != nil {
		return nil, err
	}
	seats := map[string]seat.Seat[schema.Entry]{}
	err = each(ctx, nc, subjects.BucketPresence, filter, func(key string, fact history.Fact) {
		if node, name, err := subjects.ParsePresenceKey(key); err == nil {
			seats[name], _ = seats[name].Take(seat.Read[schema.Entry](node, fact.Sequence, fact.Header, fact.Data, time.Since(fact.Time)))
		}
	})
	if err != nil {
		return nil, err
	}
	var seated []Seat
	for name, nodesSay := range seats {
		nodesSay.End(seat.Entry[schema.Entry].Ended, nodes)
		if _, shown := nodesSay.Shown(nodes.Here); !shown {
			continue
		}
		channel, user, ref, err := subjects.ParseSeat(name)
		if err != nil {
			return nil, fmt.Errorf("seat %q: %w", name, err)
		}
		seated = append(seated, Seat{channel.String(), user, ref})
	}
	slices.SortFunc(seated, CompareSeats)
	return seated, nil
}

// leased are the nodes with a lease.
type leased map[string]bool

func (l leased) Here(node string) bool { return l[node] }

func (l leased) Keeps(node string) bool { return l[node] }

func (l leased) Over(at time.Time) bool { return time.Now().After(at) }

// each reads what a bucket says of the keys that match a filter.
func each(ctx context.Context, nc *nats.Conn, bucket, filter string, read func(key string, fact history.Fact)) error {
	stream, keys := "KV_"+bucket, "$KV."+bucket+"."
	last, err := history.Last(ctx, nc, stream, keys+filter)
	if err != nil {
		return err
	}
	_, err = history.Read(ctx, nc, stream, keys+filter, 0, last, func(page history.Page) error {
		for _, fact := range page.Facts {
			read(strings.TrimPrefix(fact.Subject, keys), fact)
		}
		return nil
	})
	return err
}
