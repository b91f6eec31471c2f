package scenario

import (
	"context"
	"time"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/server"
)

var presenceScenarios = []Scenario{
	{
		Name: "presence-1x1000", About: "1,000 join the presence of one channel, and each is told of all who follow",
		headline: perPublish, work: presence{1, 1000}, Without: []server.Kind{server.NATS},
	},
	{
		Name: "presence-1000x10", About: "1,000 channels are joined by 10 each",
		headline: perPublish, work: presence{1000, 10}, Without: []server.Kind{server.NATS},
	},
}

// presence is members who join their channel one after the other, spread evenly
// over twice the time that is measured (10 s by default).
type presence struct{ channels, members int }

func (s presence) run(ctx context.Context, r *run) error {
	channels, size := r.scale(s.channels, s.members)
	feeds := r.feeds(channels, dialect.Live)
	members := r.fleet.Recruit(channels * size)
	if err := r.connect(ctx, members, func() error { return nil }); err != nil {
		return err
	}
	r.say("joining")
	span := 2 * r.options.Measured
	w := r.open()
	joined := 0
	step := func() {
		due := int(float64(len(members)) * float64(time.Since(w.began)) / float64(span))
		for ; joined < min(due+1, len(members)); joined++ {
			r.fleet.Track(members[joined], &feeds[joined%channels].Channel)
		}
	}
	told := uint64(channels) * uint64(size) * uint64(size-1) / 2
	all := func() bool {
		step()
		return joined == len(members) && r.fleet.Settled() && r.fleet.Delivered >= told
	}
	if err := r.fleet.Drive(ctx, span, step); err != nil {
		return err
	}
	until := time.Now().Add(drainTime)
	if err := r.fleet.Await(ctx, 2*drainTime, "join", func() bool { return all() || time.Now().After(until) }); err != nil {
		return err
	}
	w.close(uint64(len(members)), r.fleet.Delivered)
	r.result.PerSecond = 0 // the scenario's, not the server's
	r.delays(&r.fleet.Latency)
	r.result.Lost = told - min(r.fleet.Delivered, told)
	r.result.Twice = r.fleet.Delivered - min(r.fleet.Delivered, told)
	return nil
}
