package es

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// Snapshot is the state of a channel after one of its facts.
type Snapshot[S any] struct {
	Channel subjects.Channel
	State   S
	Seq     uint64 // of the fact
}

// Follower tells the newest state of every channel of a kind: of all that are
// stored, and then of each that changes. The kind must carry its state.
type Follower[S any] struct {
	messages jetstream.MessagesContext
	decider  Decider[S]
	pending  uint64
}

// Follow begins to follow. It is for a projection in memory; what must not be
// missed while no process is there belongs into a [Reactor].
func Follow[S any](ctx context.Context, js jetstream.JetStream, d Decider[S]) (*Follower[S], error) {
	consumer, err := js.OrderedConsumer(ctx, subjects.Catalog[d.Kind].Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{pattern("evt", d.Kind)}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", d.Kind, err)
	}
	pending := consumer.CachedInfo().NumPending
	messages, err := consumer.Messages(jetstream.PullHeartbeat(reactionLull))
	if err != nil {
		return nil, fmt.Errorf("follow %s: %w", d.Kind, err)
	}
	return &Follower[S]{messages: messages, decider: d, pending: pending}, nil
}

// Run calls whole once, when every state that was stored at the beginning has been
// told, and told for each state, until ctx ends or the bus fails.
func (f *Follower[S]) Run(ctx context.Context, told func(Snapshot[S]), whole func()) error {
	defer f.messages.Stop()
	for left := f.pending; ; left-- {
		if left == 0 {
			whole()
		}
		message, err := f.messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("follow %s: %w", f.decider.Kind, err)
		}
		meta, err := message.Metadata()
		if err != nil {
			return err
		}
		channel, err := subjects.ParseEvent(message.Subject())
		if err != nil {
			continue // not a channel of ours
		}
		state, err := f.decider.after(channel, meta.Sequence.Stream, message.Headers(), message.Data())
		if err != nil {
			return err
		}
		told(Snapshot[S]{Channel: channel, State: state, Seq: meta.Sequence.Stream})
	}
}

// StateAfter is the state that a stored fact carries.
func (d Decider[S]) StateAfter(stored history.Fact) (S, error) {
	channel, err := subjects.ParseEvent(stored.Subject)
	if err != nil {
		var nothing S
		return nothing, err
	}
	return d.after(channel, stored.Sequence, stored.Header, stored.Data)
}

func (d Decider[S]) after(channel subjects.Channel, seq uint64, header nats.Header, body []byte) (state S, err error) {
	f, err := readFact(channel, seq, header, body, d.Facts)
	if err != nil {
		return state, err
	}
	return d.evolve(state, f), nil
}
