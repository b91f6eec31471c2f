package scenario

import (
	"context"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/fleet"
	"github.com/latido/latido/tests/load/server"
)

const (
	perDelivery = "cpu_us_per_delivery"
	perPublish  = "cpu_us_per_publish"
	bodySize    = 128
)

var broadcastScenarios = []Scenario{
	{
		Name: "fanout-1x1000", About: "one channel with 1,000 subscribers, as fast as it goes",
		headline: perDelivery, work: broadcast{channels: 1, audience: 1000},
	},
	{
		Name: "fanout-1x5000", About: "one channel with 5,000 subscribers, as fast as it goes",
		headline: perDelivery, work: broadcast{channels: 1, audience: 5000},
	},
	{
		Name: "fanout-50", About: "one channel with 1,000 subscribers, 50 messages per second",
		headline: perDelivery, work: broadcast{channels: 1, audience: 1000, rate: 50},
	},
	{
		Name: "rooms", About: "1,000 channels with 5 subscribers each, as fast as it goes",
		headline: perDelivery, work: broadcast{channels: 1000, audience: 5},
	},
	{
		Name: "rooms-2000", About: "1,000 channels with 5 subscribers each, 2,000 messages per second",
		headline: perPublish, work: broadcast{channels: 1000, audience: 5, rate: 2000},
	},
	{
		Name: "rooms-durable", About: "1,000 rooms of the chat with 5 subscribers each, as fast as it goes", Sync: server.Relaxed,
		headline: perDelivery, work: broadcast{channels: 1000, audience: 5, keeping: dialect.Decided},
	},
	{
		Name: "rooms-durable-500", About: "1,000 rooms of the chat with 5 subscribers each, 500 messages per second", Sync: server.Relaxed,
		headline: perPublish, work: broadcast{channels: 1000, audience: 5, keeping: dialect.Decided, rate: 500},
	},
}

// broadcast is messages to everyone in their channel, from one connection.
type broadcast struct {
	channels, audience int
	keeping            dialect.Keeping
	rate               float64 // per second; 0 is as fast as it goes
}

// inFlight is how many publishes may be under way when it goes as fast as it can:
// enough to fill a write, not more than a session of Latido may have open.
const inFlight = 64

func (s broadcast) run(ctx context.Context, r *run) error {
	channels, audience := r.scale(s.channels, s.audience)
	feeds := r.feeds(channels, s.keeping)
	publishers, members := r.fleet.Recruit(1), r.fleet.Recruit(channels*audience)
	if err := r.fleet.Connect(ctx, publishers, handshakes); err != nil {
		return err
	}
	if err := r.fleet.Open(ctx, publishers, feeds); err != nil {
		return err
	}
	err := r.connect(ctx, members, func() error {
		return r.fleet.Subscribe(ctx, members, func(i int) *fleet.Feed { return feeds[i/audience] }, true)
	})
	if err != nil {
		return err
	}
	p := r.fleet.Publisher(fleet.Publisher{
		From: publishers, Feeds: feeds, Audience: audience, Rate: s.rate, Window: inFlight, Size: bodySize,
	})
	if err := r.steadily(ctx, p, r.options.Measured); err != nil {
		return err
	}
	return r.settle(ctx, p, members)
}
