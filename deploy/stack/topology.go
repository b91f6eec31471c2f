package stack

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
)

const (
	// declareAttempt bounds one try to declare everything, so that each is told.
	declareAttempt = 15 * time.Second
	// layoutCheck is how often whoever declares looks whether all is still there.
	layoutCheck = 5 * time.Second
)

// declares reports whether this process makes the streams, buckets and consumers.
// A process that is only a bridge waits for them: its NATS user may not change a
// stream, since who may could forge any fact.
func (c Config) declares() bool {
	return c.Embeds() || c.Runs(topologyPart) || c.runsService() && !c.AwaitLayout
}

// layOut makes sure that what the parts need is there before any of them runs, and
// keeps it there if this process declares it.
func (s *Stack) layOut(ctx context.Context) error {
	connection, err := s.bus.connect(ctx, topologyPart)
	if err != nil {
		return err
	}
	js, err := jetstream.New(connection)
	if err != nil {
		return err
	}
	kinds, err := s.cfg.kinds()
	if err != nil {
		return err
	}
	layout := topology.Config{
		Replicas: s.cfg.Replicas, Kinds: kinds, Joins: !s.cfg.Embeds() && !s.cfg.Runs(topologyPart),
		RelaxTrail: s.cfg.Embeds() && s.cfg.Sync == 0,
	}
	if !s.cfg.declares() {
		defer connection.Close()
		return s.bus.patiently(ctx, "wait for the streams", func() error {
			limited, cancel := context.WithTimeout(ctx, declareAttempt)
			defer cancel()
			return s.laidOut(limited, js, layout)
		})
	}
	declare := func() error {
		limited, cancel := context.WithTimeout(ctx, declareAttempt)
		defer cancel()
		return topology.Ensure(limited, js, layout)
	}
	if err := s.bus.patiently(ctx, "declare streams", declare); err != nil {
		return err
	}
	s.back.start(topologyPart, func(ctx context.Context) error { return s.keepLayout(ctx, js, layout) })
	return s.guardStreams(ctx, js, layout)
}

// laidOut fails while something is missing without which this process cannot work:
// a bridge reads all streams, a service those of the kinds it owns, by consumers.
func (s *Stack) laidOut(ctx context.Context, js jetstream.JetStream, layout topology.Config) error {
	if s.cfg.Runs(bridgePart) {
		if err := topology.Check(ctx, js, topology.Names(layout)...); err != nil {
			return err
		}
	}
	for _, part := range s.cfg.Parts {
		owned := topology.StreamsOf(part)
		if err := topology.Check(ctx, js, owned...); err != nil {
			return err
		}
		if err := topology.CheckConsumers(ctx, js, owned...); err != nil {
			return err
		}
	}
	return nil
}

// keepLayout declares again what somebody has removed.
func (s *Stack) keepLayout(ctx context.Context, js jetstream.JetStream, layout topology.Config) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(layoutCheck/2 + rand.N(layoutCheck)):
		}
		limited, cancel := context.WithTimeout(ctx, declareAttempt)
		if missing := topology.Missing(limited, js, layout); missing != nil {
			s.cfg.Log.Error("declare again", "missing", missing, "error", topology.Ensure(limited, js, layout))
		}
		cancel()
	}
}
