package scenario

import (
	"context"
	"time"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/fleet"
)

const resident = "rss_kb_per_connection"

var idleScenarios = []Scenario{
	{Name: "idle-1k", About: "1,000 connections with 2 subscriptions each, and nothing happens", headline: resident, work: idle{1000, 1}},
	{Name: "idle-10k", About: "10,000 connections, long enough for the server's pings", headline: resident, work: idle{10_000, 6}},
	{Name: "idle-20k", About: "20,000 connections, or as many as there are file descriptors", headline: resident, work: idle{20_000, 1}},
}

// idle is connections that wait: each follows a channel of everybody's and one
// that it shares with a few.
type idle struct {
	members int
	long    int // times the measured duration; the default makes it longer than the interval of pings
}

const few = 10

func (s idle) run(ctx context.Context, r *run) error {
	n, _ := r.scale(s.members, 1)
	members := r.fleet.Recruit(n)
	everybody, some := r.feeds(1, dialect.Live), r.feeds((n+few-1)/few, dialect.Live)
	before := r.server.Resident()
	err := r.connect(ctx, members, func() error {
		if err := r.fleet.Subscribe(ctx, members, func(int) *fleet.Feed { return everybody[0] }, false); err != nil {
			return err
		}
		return r.fleet.Subscribe(ctx, members, func(i int) *fleet.Feed { return some[i/few] }, false)
	})
	if err != nil {
		return err
	}
	r.fleet.Rest(true)
	if err := r.hush(ctx); err != nil {
		return err
	}
	r.say("idling")
	w := r.open()
	if err := r.fleet.Drive(ctx, time.Duration(s.long)*r.options.Measured, func() {}); err != nil {
		return err
	}
	w.close(0, 0)
	r.result.KBPerConnection = float64(r.server.Resident()-before) / 1024 / float64(n)
	return nil
}
