package es

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology"
)

const (
	reactionLull = 5 * time.Second // heartbeats tell a quiet consumer from a lost one
	retryMost    = 30 * time.Second
)

// reaction is a [Reactor], the type of its state forgotten.
type reaction struct {
	name  string // of its durable consumer
	kind  string
	parse func(subject string) (subjects.Channel, error)
	read  func(subjects.Channel, uint64, nats.Header, []byte) fact
	react func(context.Context, fact) error

	unread *unread
}

// reaction gives the reactor the state that it asks for.
func (a *aggregates[S]) reaction(r Reactor[S]) reaction {
	wanted := Facts(r.On...)
	return a.reacting(r.Name, func(ctx context.Context, f fact) error {
		if f.Data == nil || wanted[f.Name] == nil {
			return nil
		}
		known, err := a.including(ctx, f)
		if err != nil {
			return err
		}
		return r.React(ctx, f.Event, known.state)
	})
}

func (a *aggregates[S]) reacting(name string, react func(context.Context, fact) error) reaction {
	kind := a.decider.Kind
	return reaction{
		name: name, kind: kind, parse: subjects.ParseEvent, read: a.read, react: react, unread: a.unread,
	}
}

// including returns what is known of the fact's channel, the fact included.
func (a *aggregates[S]) including(ctx context.Context, f fact) (memory[S], error) {
	known := a.memories.recall(f.Channel)
	anew := f.at.After(known.at) && !known.at.IsZero() // with a number that another fact had: the stream has another past
	if !known.confirmed.IsZero() && known.seq >= f.seq && !anew {
		return known, nil
	}
	known, err := a.refresh(ctx, f.Channel)
	if err == nil && known.seq < f.seq { // another replica told us sooner than its leader has it
		err = fmt.Errorf("%w: %s at %d, its fact at %d", errBehind, f.Channel, known.seq, f.seq)
	}
	return known, err
}

// errBehind is returned when a stream was read short of a fact that is known to
// be in it.
var errBehind = errors.New("read short")

// follow runs a reaction until ctx ends. While its consumer or stream is gone it
// waits for whoever declares them, and then starts over: reactions are idempotent.
func (b *bus) follow(ctx context.Context, r reaction) {
	log := b.log.With("reactor", r.name)
	for ctx.Err() == nil {
		if err := b.consume(ctx, r, log); ctx.Err() == nil {
			log.Warn("consume again", "cause", err)
			_ = pause(ctx, time.Second)
		}
	}
}

// consume reacts to facts until the consumer ends or ctx does. It only binds to
// the consumer, which topology declares.
func (b *bus) consume(ctx context.Context, r reaction, log *slog.Logger) error {
	binding, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	consumer, err := b.js.Consumer(binding, subjects.Catalog[r.kind].Stream, r.name)
	if err != nil {
		return fmt.Errorf("bind to consumer: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(64), jetstream.PullHeartbeat(reactionLull))
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	defer handBack(messages)
	for {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("next: %w", err)
		}
		if err := b.react(ctx, r, message); err != nil {
			level := slog.LevelError
			if isTransient(err) || errors.Is(err, history.ErrStream) {
				level = slog.LevelWarn
			}
			log.Log(ctx, level, "react", "subject", message.Subject(), "cause", err)
		}
	}
}

// handBack ends the pull and returns what was pulled but not handled, so that
// another replica need not wait until this one counts as silent.
func handBack(messages jetstream.MessagesContext) {
	defer messages.Stop()
	messages.Drain()
	for {
		message, err := messages.Next(jetstream.NextMaxWait(time.Second))
		if err != nil || message.Nak() != nil {
			return
		}
	}
}

// react handles one message and settles it: done, or to come again later.
func (b *bus) react(ctx context.Context, r reaction, message jetstream.Msg) error {
	working, cancel := context.WithTimeout(context.WithoutCancel(ctx), topology.ReactionTime/2)
	defer cancel()
	meta, err := message.Metadata()
	if err != nil {
		return err
	}
	err = recoverPanic(func() error {
		channel, err := r.parse(message.Subject())
		if err != nil {
			r.unread.note(message.Subject(), meta.Sequence.Stream, err)
			return nil
		}
		f := r.read(channel, meta.Sequence.Stream, message.Headers(), message.Data())
		f.at = meta.Timestamp
		return r.react(working, f)
	})
	if err == nil {
		return message.Ack()
	}
	delay := min(retryMost, 100*time.Millisecond<<min(meta.NumDelivered, 16))
	return errors.Join(err, message.NakWithDelay(delay))
}

// errPanic is what a contained panic becomes.
var errPanic = errors.New("panic")

// recoverPanic turns a panic of do into an error with its stack.
func recoverPanic(do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanic, cause, debug.Stack())
		}
	}()
	return do()
}
