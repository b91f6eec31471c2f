package presence

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// What was is read from the facts when somebody asks. Each carries the state after
// it and names the fact before it, so a question about a moment costs a few reads
// a user, however long ago that was and however much happened since.

const (
	readsAtOnce = 8                   // for one question
	remembered  = 30 * 24 * time.Hour // for which the stream keeps facts
)

// whoWas lists who of a group was there at a time.
func (k *watcher) whoWas(ctx context.Context, g Group, at, now time.Time) (any, error) {
	if at.After(now) || now.Sub(at) > remembered {
		return nil, wrong("at", "is not within the last 30 days")
	}
	cards := make([]presence.Card, len(g.Members))
	reading, ctx := errgroup.WithContext(ctx)
	reading.SetLimit(readsAtOnce)
	for i, member := range g.Members {
		reading.Go(func() error {
			state, _, err := k.past(ctx, member, at)
			told := state.told()
			cards[i] = presence.Card{ID: member, Status: state.public(), CustomMessage: told.Message, Devices: []presence.Device{}}
			return err
		})
	}
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	return companyOf(cards), nil
}

// errEnough ends a read early.
var errEnough = errors.New("enough")

// past is a user's state at a time, and the sequence behind which its later facts
// follow.
func (k *watcher) past(ctx context.Context, who string, at time.Time) (state User, after uint64, err error) {
	stream, subject := stored(who)
	if after, err = history.Before(ctx, k.nc, stream, subject, at); err != nil {
		return state, 0, fmt.Errorf("past of %s: %w", who, err)
	}
	last, err := history.Last(ctx, k.nc, stream, subject)
	if err != nil || last == 0 {
		return state, after, err
	}
	before := last // the newest fact before the time
	_, err = history.Read(ctx, k.nc, stream, subject, after, last, func(page history.Page) error {
		for _, fact := range page.Facts {
			if !fact.Time.Before(at) {
				before = predecessor(fact)
				return errEnough
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return state, after, fmt.Errorf("past of %s: %w", who, err)
	}
	if before == 0 {
		return state, after, nil
	}
	fact, found, err := history.Message(ctx, k.nc, stream, before)
	if err != nil || !found {
		return state, after, err
	}
	state, _ = user.StateAfter(fact)
	return state, after, nil
}

// predecessor is the sequence of the fact before one of the same user: an append
// names it, and what was appended together lies side by side.
func predecessor(fact history.Fact) uint64 {
	named := fact.Header.Get(jetstream.ExpectedLastSubjSeqHeader)
	if named == "" {
		return fact.Sequence - 1
	}
	sequence, _ := strconv.ParseUint(named, 10, 64)
	return sequence
}

func stored(user string) (stream, subject string) {
	channel := subjects.Channel{Kind: "user", ID: user}
	return subjects.Catalog[channel.Kind].Stream, channel.Event()
}

// shift is a time without a break for which a user was there.
type shift struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// served is how long a user was there.
type served struct {
	Seconds  float64            `json:"seconds"`
	ByStatus map[string]float64 `json:"by_status"` // seconds, as they were seen
	Shifts   []shift            `json:"shifts"`
}

// duty tells how long a user was there, to themselves and to supervisors.
func (k *watcher) duty(ctx context.Context, _ User, c es.Command) (any, error) {
	body, ok := c.Body.(presence.Duty)
	if !ok || c.From != c.Channel.ID && c.Role != roleSupervisor && c.Role != subjects.RoleService {
		return nil, schemas.Refuse(schemas.Forbidden, "only supervisors ask that of others")
	}
	to := c.Now
	if !body.To.IsZero() && body.To.Before(to) {
		to = body.To
	}
	if !body.From.Before(to) || c.Now.Sub(body.From) > remembered {
		return nil, wrong("from", "is not within the last 30 days, or not before to")
	}
	who := c.Channel.ID
	state, after, err := k.past(ctx, who, body.From)
	if err != nil {
		return nil, err
	}
	sum := tally{since: body.From, state: state, served: served{ByStatus: map[string]float64{}, Shifts: []shift{}}}
	stream, subject := stored(who)
	last, err := history.Last(ctx, k.nc, stream, subject)
	if err != nil {
		return nil, fmt.Errorf("duty of %s: %w", who, err)
	}
	_, err = history.Read(ctx, k.nc, stream, subject, after, max(after, last), func(page history.Page) error {
		for _, fact := range page.Facts {
			if fact.Time.Before(body.From) {
				continue
			}
			if fact.Time.After(to) {
				return errEnough
			}
			if next, says := user.StateAfter(fact); says {
				sum.add(fact.Time, next)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("duty of %s: %w", who, err)
	}
	sum.add(to, User{})
	return sum.served, nil
}

// tally adds up the time between changes.
type tally struct {
	served
	since time.Time
	state User
}

func (t *tally) add(until time.Time, next User) {
	if t.state.Online {
		seconds := until.Sub(t.since).Seconds()
		t.Seconds += seconds
		t.ByStatus[t.state.public()] += seconds
		if n := len(t.Shifts); n > 0 && t.Shifts[n-1].To.Equal(t.since) {
			t.Shifts[n-1].To = until
		} else {
			t.Shifts = append(t.Shifts, shift{From: t.since, To: until})
		}
	}
	t.since, t.state = until, next
}
