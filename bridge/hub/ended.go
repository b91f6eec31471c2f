package hub

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// lately is how far the bucket may be behind the log: a service tries for as long to
// write what a fact has changed.
const lately = 15 * time.Second

// endedKept bounds the facts that ended memberships which a ring remembers below its
// floor. Beyond it the oldest ones go: the bucket knows of them by then.
const endedKept = 64

// endedLately reads which facts of a channel, behind one and up to the newest, have
// lately ended memberships: the bucket may not say so yet.
func (h *Hub) endedLately(ctx context.Context, name subjects.Channel, after uint64, newest history.Position) (ended []*entry, err error) {
	kind := h.kinds[name.Kind]
	if len(kind.Ends) == 0 || newest.Sequence <= after || time.Since(newest.At) > lately {
		return nil, nil
	}
	nc, subject := h.Bus.Replay, name.Event()
	before, err := history.Before(ctx, nc, kind.Stream, subject, newest.At.Add(-lately))
	if err != nil {
		return nil, err
	}
	_, err = history.Read(ctx, nc, kind.Stream, subject, max(after, before), newest.Sequence, func(p history.Page) error {
		for _, fact := range p.Facts {
			if _, ends := kind.Ends[subjects.Text(fact.Header, subjects.HeaderEvent)]; ends {
				ended = append(ended, h.factEntry(name, name.String(), fact))
			}
		}
		return nil
	})
	return ended[max(0, len(ended)-endedKept):], err
}

// endedLately is that of the hub, as one of few reads of history at once.
func (ch *Channel) endedLately(ctx context.Context, watermark history.Position) ([]*entry, error) {
	if len(ch.kind.Ends) == 0 {
		return nil, nil
	}
	done, err := ch.hub.Reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return ch.hub.endedLately(ctx, ch.Name, 0, watermark)
}

// remember keeps a fact that leaves the ring, if it ended memberships.
func (r *ring) remember(e *entry) {
	if !e.ends.Any() {
		return
	}
	if len(r.ended) >= endedKept {
		r.ended = slices.Delete(r.ended, 0, 1)
	}
	r.ended = append(r.ended, &entry{sequence: e.sequence, ends: e.ends})
}

// end is the sequence of the first fact known here that ended a membership, or 0.
func (r *ring) end(m Membership) uint64 {
	if m.since >= r.last {
		return 0
	}
	return cmp.Or(m.end(r.ended), m.end(r.entries))
}

// end is the sequence of the first of some entries that ended the membership, or 0.
func (m Membership) end(entries []*entry) uint64 {
	if i := slices.IndexFunc(entries, m.endedBy); i >= 0 {
		return entries[i].sequence
	}
	return 0
}

// endOf is the sequence up to which a member may be told of a channel, whose newest
// fact is known.
func (h *Hub) endOf(ctx context.Context, name subjects.Channel, m Membership, newest history.Position) (uint64, error) {
	if ch := h.find(tail(name)); ch != nil && ch.isOpen() {
		ch.mu.Lock()
		defer ch.mu.Unlock()
		return cmp.Or(ch.ring.end(m), math.MaxUint64), nil
	}
	ended, err := h.endedLately(ctx, name, m.since, newest)
	return cmp.Or(m.end(ended), math.MaxUint64), err
}
