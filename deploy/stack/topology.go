package stack

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
)

// layOut makes sure that the streams and buckets are there before any part runs.
// Services declare them. A process that is only a bridge waits for that: its NATS
// user may not change a stream, since who may could forge any fact.
func (s *Stack) layOut(ctx context.Context) error {
	connection, err := s.bus.connect(ctx, "topology")
	if err != nil {
		return err
	}
	defer connection.Close()
	js, err := jetstream.New(connection)
	if err != nil {
		return err
	}
	kinds, err := s.cfg.kinds()
	if err != nil {
		return err
	}
	layout := topology.Config{
		Replicas: s.cfg.Replicas, Kinds: kinds, Joins: !s.cfg.Embeds(),
		RelaxTrail: s.cfg.Embeds() && s.cfg.Sync == 0,
	}
	if !s.cfg.Embeds() && !s.cfg.runsService() {
		return s.bus.patiently(ctx, "wait for the streams", func() error {
			return topology.Check(ctx, js, layout)
		})
	}
	limited, cancel := context.WithTimeoutCause(ctx, s.cfg.NATSWait, fmt.Errorf("not done after %v", s.cfg.NATSWait))
	defer cancel()
	if err := topology.Ensure(limited, js, layout); err != nil {
		return fmt.Errorf("declare streams: %w", err)
	}
	return nil
}
