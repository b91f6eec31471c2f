package stack

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/topology"
)

// guardInterval is how often whoever declares the streams looks whether one has
// lost its tail.
const guardInterval = 5 * time.Second

// guardStreams gives streams another epoch when they have, or may have, lost what
// readers saw: now, since the last run of an embedded server, and from now on.
func (s *Stack) guardStreams(ctx context.Context, js jetstream.JetStream, layout topology.Config) error {
	if s.bus.begun != nil {
		if lost := lostStreams(s.bus.lost, s.cfg.Sync == 0, layout); len(lost) > 0 {
			s.cfg.Log.Warn("messages may have been lost since the last run: readers are told", "streams", lost)
			if err := s.bus.patiently(ctx, "tell readers", func() error { return topology.Renew(ctx, js, lost...) }); err != nil {
				return err
			}
		}
		if err := s.bus.patiently(ctx, "note in the data folder", s.bus.begun); err != nil {
			return err
		}
	}
	connection, err := s.bus.connect(ctx, "guard")
	if err != nil {
		return err
	}
	if js, err = jetstream.New(connection); err != nil {
		return err
	}
	var guard topology.Guard
	if _, err := guard.Look(ctx, js, streamNames(layout)...); err != nil {
		return err
	}
	if _, err := guard.Hear(connection, js); err != nil {
		return err
	}
	s.back.start("guard", func(ctx context.Context) error {
		ticker := time.NewTicker(guardInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				s.lookAfter(ctx, js, &guard, layout)
			}
		}
	})
	return nil
}

func (s *Stack) lookAfter(ctx context.Context, js jetstream.JetStream, guard *topology.Guard, layout topology.Config) {
	ctx, cancel := context.WithTimeout(ctx, guardInterval)
	defer cancel()
	renewed, err := guard.Look(ctx, js, streamNames(layout)...)
	if len(renewed) > 0 {
		s.cfg.Log.Error("streams have lost messages: readers are told", "streams", renewed)
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("look after the streams", "error", err)
	}
}

// lostStreams lists the streams that a loss concerns. Where each append is flushed
// before it is acknowledged, nothing is lost but what is exempt from it.
func lostStreams(l loss, flushed bool, layout topology.Config) (names []string) {
	for _, stream := range topology.Streams(layout) {
		relaxed := stream.PersistMode == jetstream.AsyncPersistMode
		switch {
		case l == lostAnything, l == lostFlushes && (!flushed || relaxed), l == lostRelaxed && relaxed:
			names = append(names, stream.Name)
		}
	}
	return names
}

func streamNames(layout topology.Config) []string { return lostStreams(lostAnything, false, layout) }
