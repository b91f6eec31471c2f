package scenario

import (
	"context"
	"errors"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/fleet"
	"github.com/latido/latido/tests/load/server"
)

const perEvent = "us_per_event"

var publishScenarios = []Scenario{
	{Name: "durable-64", About: "stored publishes of one connection, 64 in flight", Sync: server.Relaxed, headline: perEvent, work: publish{inFlight, dialect.Stored}},
	{Name: "durable-1", About: "stored publishes one after the other", Sync: server.Relaxed, headline: perEvent, work: publish{1, dialect.Stored}},
	{Name: "chat-64", About: "posts to 64 rooms of the chat, 64 in flight", Sync: server.Relaxed, headline: perEvent, work: publish{inFlight, dialect.Decided}},
	{Name: "durable-64-fsync", About: "64 in flight, each on disk before it is acknowledged", Sync: server.Always, headline: perEvent, work: publish{inFlight, dialect.Stored}},
	{Name: "durable-1-fsync", About: "one after the other, each on disk before it is acknowledged", Sync: server.Always, headline: perEvent, work: publish{1, dialect.Stored}},
}

// publish is messages that are stored while nobody listens: from the browser to
// its acknowledgement. Each of those in flight is in a channel of its own.
type publish struct {
	window  int
	keeping dialect.Keeping
}

func (s publish) run(ctx context.Context, r *run) error {
	publishers, readers := r.fleet.Recruit(1), r.fleet.Recruit(s.window)
	feeds := r.feeds(s.window, s.keeping)
	if err := r.fleet.Connect(ctx, publishers, 1); err != nil {
		return err
	}
	if err := r.fleet.Open(ctx, publishers, feeds); err != nil {
		return err
	}
	r.fleet.Expect(readers, func(i int) *fleet.Feed { return feeds[i] })
	r.result.Connections = 1
	p := r.fleet.Publisher(fleet.Publisher{From: publishers, Feeds: feeds, Window: s.window, Size: bodySize})
	if err := r.steadily(ctx, p, r.options.Measured); err != nil {
		return err
	}
	r.result.PerSecond = float64(r.fleet.Answered) / r.result.Seconds
	r.delays(&r.fleet.AnswerLatency)
	p.Limit = p.Published
	if err := r.fleet.Await(ctx, drainTime, "drain", p.Done); err != nil {
		return err
	}
	if r.kind == server.Floor {
		return nil // it stores nothing
	}
	return r.readBack(ctx, readers, p.Published)
}

// readBack lets readers who were away see what was stored: all that was
// acknowledged, once.
func (r *run) readBack(ctx context.Context, readers []*fleet.Member, published uint64) error {
	r.say("reading %d back", published)
	r.fleet.Reset()
	if _, err := r.fleet.Return(ctx, readers, published, stormTime); err != nil && !errors.Is(err, fleet.ErrTooLong) { // then the rest is lost
		return err
	}
	if err := r.hush(ctx); err != nil { // for what comes twice
		return err
	}
	r.account(readers)
	return nil
}
