package kit

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Fact is one message of a stream, read without the bridge.
type Fact struct {
	Seq         uint64
	Event, From string
	MessageID   string
	At          time.Time
	Data        []byte
}

// Truth is what the streams hold, by channel, oldest first.
type Truth map[string][]Fact

// ReadTruth reads all facts of the streams up to what their leaders know, by
// ordered consumers: another way than the bridge's.
func ReadTruth(ctx context.Context, nc *nats.Conn, streams ...string) (Truth, error) {
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		return nil, err
	}
	truth := Truth{}
	for _, stream := range streams {
		last, err := history.Last(ctx, nc, stream, "evt.>")
		if err != nil {
			return nil, err
		}
		read, err := readStream(ctx, js, stream, last)
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", stream, err)
		}
		maps.Copy(truth, read)
	}
	return truth, nil
}

// readWithin is how long an ordered consumer may take: after a change of leader
// one may stay silent for ever.
const readWithin = 15 * time.Second

func readStream(ctx context.Context, js jetstream.JetStream, stream string, last uint64) (Truth, error) {
	for {
		truth := Truth{}
		attempt, cancel := context.WithTimeout(ctx, readWithin)
		err := truth.read(attempt, js, stream, last)
		cancel()
		if err == nil || ctx.Err() != nil {
			return truth, err
		}
	}
}

func (t Truth) read(ctx context.Context, js jetstream.JetStream, stream string, last uint64) error {
	if last == 0 {
		return nil
	}
	consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"evt.>"}})
	if err != nil {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for seq := uint64(0); seq < last; {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		channel, fact, err := factOf(message)
		if err != nil {
			return err
		}
		seq = fact.Seq
		t[channel] = append(t[channel], fact)
	}
	return nil
}

func factOf(message jetstream.Msg) (string, Fact, error) {
	meta, err := message.Metadata()
	if err != nil {
		return "", Fact{}, err
	}
	channel, err := subjects.ParseEvent(message.Subject())
	if err != nil {
		return "", Fact{}, fmt.Errorf("%s: %w", message.Subject(), err)
	}
	header := message.Headers()
	return channel.String(), Fact{
		Seq: meta.Sequence.Stream, At: meta.Timestamp, Data: message.Data(),
		Event: subjects.Text(header, subjects.HeaderEvent), From: subjects.Text(header, subjects.HeaderFrom),
		MessageID: header.Get(jetstream.MsgIDHeader),
	}, nil
}

// Last is the sequence of the channel's newest fact, 0 if it has none.
func (t Truth) Last(channel string) uint64 {
	facts := t[channel]
	if len(facts) == 0 {
		return 0
	}
	return facts[len(facts)-1].Seq
}
