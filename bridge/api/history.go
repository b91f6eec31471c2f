package api

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// HistoryPage is the answer to a question for stored events.
type HistoryPage struct {
	Position wire.Position `json:"position"` // where a reader of it stands
	Gap      *EventRange   `json:"gap,omitempty"`
	Events   []storedEvent `json:"events"`
	More     bool          `json:"more"`           // after the position
	Gaps     []EventRange  `json:"gaps,omitempty"` // facts among the events that nobody can read
}

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

// EventRange is the numbers of events that are missing.
type EventRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// getEvents reads stored events: those behind a position, or the last ones.
func (s *Server) getEvents(c *fiber.Ctx) error {
	by, channel, err := caller(c)
	if err != nil {
		return err
	}
	if err := knows(c, "since", "epoch", "at", "limit"); err != nil {
		return err
	}
	name, kind, err := s.node.Resolve(channel)
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
	member, err := s.node.MayRead(ctx, by.Identity, name, kind)
	if err != nil {
		return err
	}
	if kind.Durability != subjects.Durable {
		return schemas.Refuse(schemas.UnknownEvent, "events of this channel are not stored")
	}
	done, err := s.reading(ctx, payerOf(c).User)
	if err != nil {
		return err
	}
	defer done()
	past, err := s.node.Hub.Past(ctx, hub.PastQuestion{Channel: name, Stream: kind.Stream, Member: member, Limit: limit}, since)
	if err != nil {
		return err
	}
	page := HistoryPage{Position: past.Position, Gap: (*EventRange)(past.Missing), Events: []storedEvent{}, More: past.More}
	for _, notice := range past.Notices {
		switch told := notice.(type) {
		case wire.Event:
			page.Events = append(page.Events, storedEvent{told.Event, told.Sequence, told.From, told.Key, told.At, told.Encoding, told.Data})
		case wire.Gap:
			page.Gaps = append(page.Gaps, EventRange{told.From, told.To})
		}
	}
	return s.answer(c, page)
}

// positionOf reads the position that a question is about; nil when there is none.
func positionOf(c *fiber.Ctx) (*history.Position, error) {
	since, epoch, at := c.Query("since"), c.Query("epoch"), c.Query("at")
	if since == "" && epoch+at != "" {
		return nil, schemas.Refuse(schemas.InvalidFrame, "epoch and at go with since")
	}
	if since == "" {
		return nil, nil
	}
	sequence, err := strconv.ParseUint(since, 10, 53)
	if err != nil {
		return nil, schemas.Refuse(schemas.InvalidData, "since: a sequence")
	}
	position, err := native.DecodeSince(sequence, epoch, at)
	return (*history.Position)(&position), err
}
