package stack

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
)

// errNotDeclared: a bridge looks for a stream that no service has declared yet.
var errNotDeclared = errors.New("not declared yet, is a service running?")

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
	layout := topology.Config{Replicas: s.cfg.Replicas, Kinds: kinds, RelaxTrail: s.cfg.Embeds() && s.cfg.Sync == 0}
	if !s.cfg.Embeds() && !s.cfg.runsService() {
		return s.awaitLayout(ctx, js, layout)
	}
	limited, cancel := context.WithTimeoutCause(ctx, s.cfg.NATSWait, fmt.Errorf("not done after %v", s.cfg.NATSWait))
	defer cancel()
	if err := topology.Ensure(limited, js, layout); err != nil {
		return fmt.Errorf("declare streams: %w", err)
	}
	return nil
}

func (s *Stack) awaitLayout(ctx context.Context, js jetstream.JetStream, layout topology.Config) error {
	var names []string
	for _, stream := range topology.Streams(layout) {
		names = append(names, stream.Name)
	}
	for _, bucket := range topology.Buckets(layout) {
		names = append(names, "KV_"+bucket.Bucket)
	}
	for _, name := range names {
		err := s.bus.patiently(ctx, "wait for stream "+name, func() error {
			_, err := js.Stream(ctx, name)
			if errors.Is(err, jetstream.ErrStreamNotFound) {
				return errNotDeclared
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
