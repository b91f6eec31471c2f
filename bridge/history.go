package bridge

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

// past is a page of stored events, and what is missing.
type past struct {
	position wire.Position  // where a reader of it stands
	missing  *history.Range // events before the first, if they are gone
	notices  []wire.Notice  // events, and gaps for those among them that nobody can read
	more     bool           // after the position
}

// pastQuestion is what a page of stored events answers.
type pastQuestion struct {
	channel subjects.Channel
	stream  string
	member  membership // by which it may be asked: nothing behind its end is told
	limit   int        // of events
}

// past reads what follows a position, or the last events. What a reader of the
// page misses is judged when it has been read, and by what judges sockets.
func (h *hub) past(ctx context.Context, q pastQuestion, since *history.Position) (past, error) {
	nc, stream, subject := h.bus.Replay, q.stream, q.channel.Event()
	described, err := history.Describe(ctx, nc, stream)
	if err != nil {
		return past{}, err
	}
	if since == nil {
		after, err := history.Tail(ctx, nc, stream, subject, uint64(q.limit))
		if err != nil {
			return past{}, err
		}
		watermark, _, err := history.Watermark(ctx, nc, stream, subject)
		if err != nil {
			return past{}, err
		}
		page, err := h.pageAfter(ctx, q, history.Position{Epoch: described.Epoch, Sequence: after})
		if page.position.Sequence == after {
			watermark.Epoch = described.Epoch
			page.position = wire.Position(watermark)
		}
		return page, err
	}
	from := *since
	from.Epoch = described.Epoch
	page, err := h.pageAfter(ctx, q, from)
	if err != nil {
		return page, err
	}
	standing, err := history.Resume(ctx, nc, stream, subject, described.Epoch, *since)
	if err != nil {
		return page, err
	}
	place := standing.Place(described.Epoch)
	switch {
	case standing.Anew:
		page, err = h.pageAfter(ctx, q, place)
	case page.position.Sequence == from.Sequence: // nothing was read
		page.position = wire.Position(place)
	}
	if standing.Missing != nil {
		h.metrics.gaps.Inc()
		page.missing = standing.Missing
	}
	return page, err
}

// pageAfter reads a page of what follows a position.
func (h *hub) pageAfter(ctx context.Context, q pastQuestion, after history.Position) (past, error) {
	page := past{position: wire.Position(after)}
	name := q.channel
	newest, err := history.Newest(ctx, h.bus.Replay, q.stream, name.Event())
	if err != nil {
		return page, err
	}
	end, err := h.endOf(ctx, name, q.member, newest)
	if err != nil {
		return page, err
	}
	last := min(newest.Sequence, end)
	events, size := 0, 0
	_, err = history.Read(ctx, h.bus.Replay, q.stream, name.Event(), after.Sequence, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			if events == q.limit || size > historyBytes || fact.Sequence > end {
				return errEnough
			}
			size += len(fact.Data)
			e := h.factEntry(name, name.String(), fact)
			if q.member.endedBy(e) {
				last, end = e.sequence, e.sequence
			}
			if _, readable := e.notice.(wire.Event); readable {
				events++
			}
			page.notices = append(page.notices, e.notice)
			page.position.Sequence, page.position.At = fact.Sequence, fact.Time
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	page.more = page.position.Sequence < last && size > 0
	return page, err
}
