package es

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

const (
	// followInbox bounds the facts from the feed that wait to be told. When it is
	// full the client drops what comes; the next check finds it.
	followInbox = 4096
	// followCheck is how often the stream is asked for facts that the feed did not
	// bring.
	followCheck = 15 * time.Second
)

// Snapshot is the state of a channel after one of its facts.
type Snapshot[S any] struct {
	Channel subjects.Channel
	State   S
	Seq     uint64 // of the fact
}

// Follower tells the newest state of every channel of a kind: of all that are
// stored, and then of each that changes. The kind must carry its state. It has no
// consumer: it listens to the feed first and reads what was stored before.
type Follower[S any] struct {
	nc      *nats.Conn
	decider Decider[S]
	stream  string
	inbox   chan *nats.Msg
	feed    *nats.Subscription
	seen    map[subjects.Channel]uint64 // the newest sequence told
	whole   uint64                      // all facts up to here are told, or older than one that is
}

// Follow begins to follow. It is for a projection in memory; what must not be
// missed while no process is there belongs into a [Reactor].
func Follow[S any](nc *nats.Conn, d Decider[S]) (*Follower[S], error) {
	f := &Follower[S]{
		nc: nc, decider: d, stream: subjects.Catalog[d.Kind].Stream,
		inbox: make(chan *nats.Msg, followInbox), seen: make(map[subjects.Channel]uint64),
	}
	var err error
	if f.feed, err = nc.ChanSubscribe(pattern("feed", d.Kind), f.inbox); err != nil {
		return nil, fmt.Errorf("follow %s: %w", d.Kind, err)
	}
	return f, nil
}

// Run calls whole once, when every state that was stored at the beginning has been
// told, and told for each state, until ctx ends or the bus fails.
func (f *Follower[S]) Run(ctx context.Context, told func(Snapshot[S]), whole func()) error {
	defer func() { _ = f.feed.Unsubscribe() }() // gone already with a closed connection
	if err := f.begin(ctx, told); err != nil {
		return fmt.Errorf("follow %s: %w", f.decider.Kind, err)
	}
	whole()
	check := time.NewTicker(followCheck)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case message := <-f.inbox:
			f.hear(message, told)
		case <-check.C:
			if err := f.check(ctx, told); err != nil {
				return fmt.Errorf("follow %s: %w", f.decider.Kind, err)
			}
		}
	}
}

// begin tells what is stored. The server knows of the subscription before, so that
// nothing falls between.
func (f *Follower[S]) begin(ctx context.Context, told func(Snapshot[S])) (err error) {
	flushing, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	if err := f.nc.FlushWithContext(flushing); err != nil {
		return err
	}
	f.whole, err = history.Latest(ctx, f.nc, f.stream, pattern("evt", f.decider.Kind), f.page(told))
	return err
}

// check reads what was stored since the last check; most of it the feed has told.
func (f *Follower[S]) check(ctx context.Context, told func(Snapshot[S])) error {
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	facts := pattern("evt", f.decider.Kind)
	last, err := history.Last(reading, f.nc, f.stream, facts)
	if err != nil {
		return err
	}
	if last < f.whole {
		return fmt.Errorf("%w: %s ends at %d, %d is known", errBehind, f.stream, last, f.whole)
	}
	f.whole, err = history.Read(reading, f.nc, f.stream, facts, f.whole, last, f.page(told))
	return err
}

func (f *Follower[S]) page(told func(Snapshot[S])) func(history.Page) error {
	return func(page history.Page) error {
		for _, stored := range page.Facts {
			channel, err := subjects.ParseEvent(stored.Subject)
			if err != nil {
				continue // not a channel of ours
			}
			f.tell(channel, stored.Sequence, stored.Header, stored.Data, told)
		}
		return nil
	}
}

func (f *Follower[S]) hear(message *nats.Msg, told func(Snapshot[S])) {
	channel, err := subjects.ParseFeed(message.Subject)
	seq, err2 := strconv.ParseUint(message.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil || err2 != nil {
		return // the check reads what the feed cannot say
	}
	f.tell(channel, seq, message.Header, message.Data, told)
}

// tell tells a fact's state, unless a newer one of its channel was told.
func (f *Follower[S]) tell(channel subjects.Channel, seq uint64, header nats.Header, body []byte, told func(Snapshot[S])) {
	if seq <= f.seen[channel] {
		return
	}
	f.seen[channel] = seq
	if state, says := f.decider.after(channel, seq, header, body); says {
		told(Snapshot[S]{Channel: channel, State: state, Seq: seq})
	}
}

// StateAfter is the state that a stored fact carries; says is false when it carries
// none, as what nobody can read.
func (d Decider[S]) StateAfter(stored history.Fact) (state S, says bool) {
	channel, err := subjects.ParseEvent(stored.Subject)
	if err != nil {
		return state, false
	}
	return d.after(channel, stored.Sequence, stored.Header, stored.Data)
}

func (d Decider[S]) after(channel subjects.Channel, seq uint64, header nats.Header, body []byte) (state S, says bool) {
	f, _ := readFact(channel, seq, header, body, d.Facts) // the service's reactors log it
	if f.Data == nil && f.state == "" {
		return state, false
	}
	return d.evolve(state, f), true
}
