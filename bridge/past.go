package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// storedEvent is one event of history.
type storedEvent struct {
	Event    string          `json:"event"`
	Sequence uint64          `json:"seq"`
	From     string          `json:"from,omitempty"`
	Key      string          `json:"key,omitempty"`
	At       time.Time       `json:"at"`
	Encoding string          `json:"encoding,omitempty"`
	Data     json.RawMessage `json:"data"`
}

// pastPage is the answer to a question for stored events.
type pastPage struct {
	Position wire.Position `json:"position"` // where a reader of it stands
	Gap      *pastGap      `json:"gap,omitempty"`
	Events   []storedEvent `json:"events"`
	More     bool          `json:"more"`           // after the position
	Gaps     []pastGap     `json:"gaps,omitempty"` // facts among the events that nobody can read
}

// pastGap says that events are missing before the first of a page.
type pastGap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// historyBytes ends one answer of history once its data is that long: it may hold
// fewer events than were asked for, and says that there are more.
const historyBytes = 512 << 10

// getEvents reads stored events: those behind a position, or the last ones.
func (b *Bridge) getEvents(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	if err := knows(c, "since", "epoch", "at", "limit"); err != nil {
		return err
	}
	name, kind, err := b.resolve(channel)
	if err != nil {
		return err
	}
	limit, err := limitOf(c, historyDefault)
	if err != nil {
		return err
	}
	since, err := positionOf(c)
	if err != nil {
		return err
	}
	ctx := c.UserContext()
	member, err := b.mayRead(ctx, by.Identity, name, kind)
	if err != nil {
		return err
	}
	if kind.Durability != subjects.Durable {
		return schemas.Refuse(schemas.UnknownEvent, "events of this channel are not stored")
	}
	done, err := b.reading(ctx, payerOf(c).User)
	if err != nil {
		return err
	}
	defer done()
	page, err := b.hub.past(ctx, pastQuestion{name, kind.Stream, member, limit}, since)
	if err != nil {
		return err
	}
	return b.answer(c, page)
}

// positionOf reads the position that a question is about; nil when there is none.
func positionOf(c *fiber.Ctx) (*history.Position, error) {
	since := c.Query("since")
	if since == "" && c.Query("epoch")+c.Query("at") != "" {
		return nil, schemas.Refuse(schemas.InvalidFrame, "epoch and at go with since")
	}
	if since == "" {
		return nil, nil
	}
	sequence, err := strconv.ParseUint(since, 10, 53)
	if err != nil {
		return nil, schemas.Refuse(schemas.InvalidData, "since: a sequence")
	}
	p := &history.Position{Sequence: sequence, Epoch: string([]byte(c.Query("epoch")))}
	if at := c.Query("at"); at != "" {
		if p.At, err = time.Parse(time.RFC3339Nano, at); err != nil {
			return nil, schemas.Refuse(schemas.InvalidData, "at: a time of RFC 3339")
		}
	}
	return p, nil
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
func (h *hub) past(ctx context.Context, q pastQuestion, since *history.Position) (pastPage, error) {
	nc, stream, subject := h.bus.Replay, q.stream, q.channel.Event()
	described, err := history.Describe(ctx, nc, stream)
	if err != nil {
		return pastPage{}, err
	}
	if since == nil {
		after, err := history.Tail(ctx, nc, stream, subject, uint64(q.limit))
		if err != nil {
			return pastPage{}, err
		}
		watermark, _, err := history.Watermark(ctx, nc, stream, subject)
		if err != nil {
			return pastPage{}, err
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
	standing, err := history.Resume(ctx, nc, stream, subject, described.Epoch, *since)
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
		page.Gap = (*pastGap)(standing.Missing)
	}
	return page, err
}

// pageAfter reads a page of what follows a position.
func (h *hub) pageAfter(ctx context.Context, q pastQuestion, after history.Position) (pastPage, error) {
	page := pastPage{Position: wire.Position(after), Events: []storedEvent{}}
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
	size := 0
	_, err = history.Read(ctx, h.bus.Replay, q.stream, name.Event(), after.Sequence, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			if len(page.Events) == q.limit || size > historyBytes || fact.Sequence > end {
				return errEnough
			}
			size += len(fact.Data)
			e := h.factEntry(name, name.String(), fact)
			if q.member.endedBy(e) {
				last, end = e.sequence, e.sequence
			}
			switch told := e.notice.(type) {
			case wire.Event:
				page.Events = append(page.Events, storedEvent{told.Event, told.Sequence, told.From, told.Key, told.At, told.Encoding, told.Data})
			case wire.Gap:
				page.Gaps = append(page.Gaps, pastGap{told.From, told.To})
			}
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
