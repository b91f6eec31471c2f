package scenario

import (
	"context"
	"fmt"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/fleet"
)

var slowScenarios = []Scenario{{
	Name: "slow", About: "one channel with 1,000 subscribers, 50 messages per second, of whom 100 read 1 KB per second",
	headline: perDelivery, work: slow{members: 1000, oneIn: 10, rate: 50, size: 1000},
}}

// slow is a broadcast of which some cannot keep up; the others must not notice.
type slow struct {
	members, oneIn int
	rate           float64
	size           int // of a message: so that 1 KB per second is far too little
}

// untilFull is how many times the measured duration the slow are slow: long
// enough that the sockets' buffers are full.
const untilFull = 3

func (s slow) run(ctx context.Context, r *run) error {
	_, n := r.scale(1, s.members)
	feeds := r.feeds(1, dialect.Live)
	publishers, slow, members := r.fleet.Recruit(1), r.fleet.Recruit(n/s.oneIn), r.fleet.Recruit(n-n/s.oneIn)
	r.fleet.Narrow(slow)
	feed := func(int) *fleet.Feed { return feeds[0] }
	if err := r.fleet.Connect(ctx, append(publishers, slow...), handshakes); err != nil {
		return err
	}
	if err := r.fleet.Subscribe(ctx, slow, feed, false); err != nil {
		return err
	}
	if err := r.connect(ctx, members, func() error { return r.fleet.Subscribe(ctx, members, feed, true) }); err != nil {
		return err
	}
	p := r.fleet.Publisher(fleet.Publisher{From: publishers, Feeds: feeds, Audience: len(members), Rate: s.rate, Size: s.size})
	if err := r.steadily(ctx, p, r.options.Measured); err != nil {
		return err
	}
	r.result.P99Before = r.result.P99
	r.say("slowing %d down", len(slow))
	r.fleet.Slow(slow)
	if err := r.steadily(ctx, p, untilFull*r.options.Measured); err != nil {
		return err
	}
	if err := r.settle(ctx, p, members); err != nil {
		return err
	}
	r.result.Connections = n
	r.result.Closed = r.fleet.Closed
	r.result.Note = fmt.Sprintf("p99 without slow %.2f ms, %d slow closed", r.result.P99Before, r.result.Closed)
	return nil
}
