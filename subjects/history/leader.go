package history

import (
	"context"

	"github.com/nats-io/nats.go"
)

// Leader answers for a stream what judging a position takes: that of a server, see
// [On], or of a bus that is simulated.
type Leader interface {
	// Describe is the stream's identity and extent.
	Describe(ctx context.Context) (Stream, error)
	// Message is the message with a sequence, if it is kept.
	Message(ctx context.Context, sequence uint64) (fact Fact, found bool, err error)
	// Next is the oldest message after a sequence whose subject matches a pattern.
	Next(ctx context.Context, pattern string, after uint64) (fact Fact, found bool, err error)
	// Newest is where the newest message of a subject is, or the zero position.
	Newest(ctx context.Context, subject string) (Position, error)
	// Page is a page of all messages after a sequence; it may come from a replica that
	// lags, as that of [Next].
	Page(ctx context.Context, after uint64) (Page, error)
}

// On is the leader of a stream that is asked over a connection.
func On(nc *nats.Conn, stream string) Leader { return leader{nc, stream} }

type leader struct {
	nc     *nats.Conn
	stream string
}

func (l leader) Describe(ctx context.Context) (Stream, error) { return Describe(ctx, l.nc, l.stream) }

func (l leader) Message(ctx context.Context, sequence uint64) (Fact, bool, error) {
	return Message(ctx, l.nc, l.stream, sequence)
}

func (l leader) Next(ctx context.Context, pattern string, after uint64) (Fact, bool, error) {
	return NextMessage(ctx, l.nc, l.stream, pattern, after)
}

func (l leader) Newest(ctx context.Context, subject string) (Position, error) {
	return Newest(ctx, l.nc, l.stream, subject)
}

func (l leader) Page(ctx context.Context, after uint64) (Page, error) {
	return Next(ctx, l.nc, l.stream, ">", after)
}
