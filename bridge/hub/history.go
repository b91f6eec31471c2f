package hub

import (
	"context"
	"errors"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// historyBytes ends one answer of history once its data is that long: it may hold
// fewer events than were asked for, and says that there are more.
const historyBytes = 512 << 10

// Past is a page of stored events, and what is missing.
type Past struct {
	Position wire.Position  // where a reader of it stands
	Missing  *history.Range // events before the first, if they are gone
	Notices  []wire.Notice  // events, and gaps for those among them that nobody can read
	More     bool           // after the position
}

// PastQuestion is what a page of stored events answers.
type PastQuestion struct {
	Channel subjects.Channel
	Stream  string
	Member  Membership // by which it may be asked: nothing behind its end is told
	Limit   int        // of events
}

// Past reads what follows a position, or the last events. What a reader of the
// page misses is judged when it has been read, and by what judges sockets.
func (h *Hub) Past(ctx context.Context, q PastQuestion, since *history.Position) (Past, error) {
	nc, stream, subject := h.Bus.Replay, q.Stream, q.Channel.Event()
	described, err := history.Describe(ctx, nc, stream)
	if err != nil {
		return Past{}, err
	}
	if since == nil {
		after, err := history.Tail(ctx, nc, stream, subject, uint64(q.Limit))
		if err != nil {
			return Past{}, err
		}
		watermark, _, err := history.Watermark(ctx, history.On(nc, stream), subject)
		if err != nil {
			return Past{}, err
		}
		page, err := h.pageAfter(ctx, q, history.Position{Epoch: described.Epoch, Sequence: after})
		if page.Position.Sequence == after {
			watermark.Epoch = described.Epoch
			page.Position = wire.Position(watermark)
		}
		return page, err
	}
	from := *since
	from.Epoch = described.Epoch
	page, err := h.pageAfter(ctx, q, from)
	if err != nil {
		return page, err
	}
	standing, err := history.Resume(ctx, history.On(nc, stream), subject, described.Epoch, *since)
	if err != nil {
		return page, err
	}
	place := standing.Place(described.Epoch)
	switch {
	case standing.Anew:
		page, err = h.pageAfter(ctx, q, place)
	case page.Position.Sequence == from.Sequence: // nothing was read
		page.Position = wire.Position(place)
	}
	if standing.Missing != nil {
		h.metrics.gaps.Inc()
		page.Missing = standing.Missing
	}
	return page, err
}

// pageAfter reads a page of what follows a position.
func (h *Hub) pageAfter(ctx context.Context, q PastQuestion, after history.Position) (Past, error) {
	page := Past{Position: wire.Position(after)}
	name := q.Channel
	newest, err := history.Newest(ctx, h.Bus.Replay, q.Stream, name.Event())
	if err != nil {
		return page, err
	}
	end, err := h.endOf(ctx, name, q.Member, newest)
	if err != nil {
		return page, err
	}
	last := min(newest.Sequence, end)
	events, size := 0, 0
	_, err = history.Read(ctx, h.Bus.Replay, q.Stream, name.Event(), after.Sequence, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			if events == q.Limit || size > historyBytes || fact.Sequence > end {
				return errEnough
			}
			size += len(fact.Data)
			e := h.factEntry(name, name.String(), fact)
			if q.Member.endedBy(e) {
				last, end = e.sequence, e.sequence
			}
			if _, readable := e.notice.(wire.Event); readable {
				events++
			}
			page.Notices = append(page.Notices, e.notice)
			page.Position.Sequence, page.Position.At = fact.Sequence, fact.Time
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	page.More = page.Position.Sequence < last && size > 0
	return page, err
}
