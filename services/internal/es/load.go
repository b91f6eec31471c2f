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

// refresh brings what is remembered of a channel up to the stream's leader.
func (a *aggregates[S]) refresh(ctx context.Context, channel subjects.Channel) (memory[S], error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	asked := time.Now()
	newest, err := history.Newest(ctx, a.nc, a.stream, channel.Event())
	if err != nil {
		return memory[S]{}, fmt.Errorf("refresh %s: %w", channel, err)
	}
	after, err := a.believed(ctx, channel, newest)
	if err != nil {
		return memory[S]{}, fmt.Errorf("refresh %s: %w", channel, err)
	}
	_, err = history.Read(ctx, a.nc, a.stream, channel.Event(), after, newest.Sequence, func(page history.Page) error {
		facts := make([]fact, len(page.Facts))
		for i, stored := range page.Facts {
			facts[i] = a.read(channel, stored.Sequence, stored.Header, stored.Data)
			facts[i].at = stored.Time
		}
		a.memories.learn(channel, after, facts, time.Time{})
		after = facts[len(facts)-1].seq
		return nil
	})
	if err != nil {
		return memory[S]{}, fmt.Errorf("refresh %s: %w", channel, err)
	}
	known := a.memories.learn(channel, after, nil, asked)
	if known.seq < after {
		return memory[S]{}, fmt.Errorf("refresh %s: crowded out of memory", channel)
	}
	return known, nil
}

// believed is the sequence up to which what is remembered of a channel is of the
// stream's own past. What is not is forgotten: the stream was created anew, or has
// lost its tail and grown since.
func (a *aggregates[S]) believed(ctx context.Context, channel subjects.Channel, newest history.Position) (uint64, error) {
	known := a.memories.recall(channel)
	anew := false
	switch {
	case known.seq == 0:
	case newest.Sequence < known.seq:
		anew = true
	case newest.Sequence == known.seq:
		anew = !known.at.IsZero() && !newest.At.Equal(known.at)
	default:
		standing, err := history.Judge(ctx, history.On(a.nc, a.stream), channel.Event(), history.Position{Sequence: known.seq, At: known.at})
		if err != nil {
			return 0, err
		}
		anew = standing.Anew
	}
	if anew {
		a.memories.forget(channel)
		return 0, nil
	}
	return known.seq, nil
}

// remember keeps a remembered channel up to date from the feed.
func (a *aggregates[S]) remember(message *nats.Msg) {
	channel, err := subjects.ParseFeed(message.Subject)
	if err != nil || !a.memories.holds(channel) {
		return
	}
	now := time.Now()
	seq, err1 := strconv.ParseUint(message.Header.Get(jetstream.SequenceHeader), 10, 64)
	previous, err2 := strconv.ParseUint(message.Header.Get(jetstream.LastSequenceHeader), 10, 64)
	if err1 != nil || err2 != nil {
		a.memories.forget(channel) // the stream says what the feed cannot
		return
	}
	f := a.read(channel, seq, message.Header, message.Data)
	f.at, _ = time.Parse(time.RFC3339Nano, message.Header.Get(jetstream.TimeStampHeaer))
	a.memories.learn(channel, previous, []fact{f}, now)
}

// read reads a fact of the kind. One that cannot be read has no data.
func (a *aggregates[S]) read(channel subjects.Channel, seq uint64, header nats.Header, body []byte) fact {
	f, err := readFact(channel, seq, header, body, a.decider.Facts)
	if err != nil {
		a.unread.note(channel.Event(), seq, err)
	}
	return f
}

// stored reads one fact of the channel by its sequence.
func (b *bus) stored(ctx context.Context, stream string, channel subjects.Channel, seq uint64) (found fact, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = history.Read(ctx, b.nc, stream, channel.Event(), seq-1, seq, func(page history.Page) error {
		if found.seq == 0 {
			first := page.Facts[0]
			found, err = readFact(channel, first.Sequence, first.Header, first.Data, nil)
		}
		return err
	})
	if err == nil && found.seq != seq {
		err = fmt.Errorf("read %s: %d is gone", channel, seq)
	}
	return found, err
}
