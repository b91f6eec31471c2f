package scenario

import (
	"context"
	"errors"
	"time"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/fleet"
	"github.com/latido/latido/tests/load/server"
)

var stormScenarios = []Scenario{
	{
		Name: "storm", About: "2,000 of one channel return at once, each missed 100 messages, while others stayed", Sync: server.Relaxed,
		headline: perDelivery, work: storm{channels: 1, members: 2000, stayed: true},
	},
	{
		Name: "storm-rooms", About: "the same in 200 channels, whom everybody had left", Sync: server.Relaxed,
		headline: perDelivery, work: storm{channels: 200, members: 10},
	},
	{
		Name: "storm-cold", About: "the same in one channel, to a server that has just started", Sync: server.Relaxed,
		headline: perDelivery, work: storm{channels: 1, members: 2000, restart: true},
	},
}

// storm is members who lost their connections and come back all at once.
type storm struct {
	channels, members int
	stayed            bool // someone did not lose the connection, so that the server has the channel at hand
	restart           bool // the server is another process by then
}

const (
	missed    = 100
	stormTime = time.Minute
)

func (s storm) run(ctx context.Context, r *run) error {
	channels, audience := r.scale(s.channels, s.members)
	feeds := r.feeds(channels, dialect.Decided)
	publishers, members := r.fleet.Recruit(1), r.fleet.Recruit(channels*audience)
	feed := func(i int) *fleet.Feed { return feeds[i%channels] }
	if err := r.fleet.Connect(ctx, publishers, handshakes); err != nil {
		return err
	}
	if err := r.fleet.Open(ctx, publishers, feeds); err != nil {
		return err
	}
	if err := r.connect(ctx, members, func() error { return r.fleet.Subscribe(ctx, members, feed, true) }); err != nil {
		return err
	}
	if s.stayed {
		witness := r.fleet.Recruit(1)
		if err := r.fleet.Connect(ctx, witness, 1); err != nil {
			return err
		}
		if err := r.fleet.Subscribe(ctx, witness, feed, false); err != nil {
			return err
		}
	}
	if err := s.leave(ctx, r, members, publishers, feeds); err != nil {
		return err
	}
	r.say("storm")
	r.fleet.Reset()
	all := uint64(len(members)) * missed
	w := r.open()
	took, err := r.fleet.Return(ctx, members, all, stormTime)
	w.close(0, r.fleet.Delivered)
	if err != nil && !errors.Is(err, fleet.ErrTooLong) { // then the rest is lost
		return err
	}
	r.result.Seconds = took.Seconds()
	r.delays(&r.fleet.Latency)
	if err := r.hush(ctx); err != nil { // for what comes twice
		return err
	}
	r.account(members)
	return nil
}

// leave cuts the members off and publishes what they miss.
func (s storm) leave(ctx context.Context, r *run, members, publishers []*fleet.Member, feeds []*fleet.Feed) error {
	r.fleet.Cut(members)
	if err := r.hush(ctx); err != nil {
		return err
	}
	r.say("publishing %d", missed*len(feeds))
	p := r.fleet.Publisher(fleet.Publisher{
		From: publishers, Feeds: feeds, Window: inFlight, Size: bodySize, Limit: uint64(missed * len(feeds)),
	})
	publish := func() bool {
		p.Pump()
		return p.Done()
	}
	if err := r.fleet.Await(ctx, stormTime, "publish", publish); err != nil {
		return err
	}
	if s.restart {
		r.say("restarting")
		r.fleet.Cut(publishers)
		if err := r.server.Restart(ctx); err != nil {
			return err
		}
	}
	return r.hush(ctx)
}
