package history

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Message asks the leader for the message with a sequence. found is false when
// the stream does not keep it any more.
func Message(ctx context.Context, nc *nats.Conn, stream string, sequence uint64) (fact Fact, found bool, err error) {
	return message(ctx, nc, stream, map[string]any{"seq": sequence})
}

// NextMessage asks the leader for the oldest message after a sequence whose subject
// matches a pattern.
func NextMessage(ctx context.Context, nc *nats.Conn, stream, pattern string, after uint64) (fact Fact, found bool, err error) {
	return message(ctx, nc, stream, map[string]any{"seq": after + 1, "next_by_subj": pattern})
}

// LastMessage asks the leader for the newest message of a subject.
func LastMessage(ctx context.Context, nc *nats.Conn, stream, subject string) (fact Fact, found bool, err error) {
	return message(ctx, nc, stream, map[string]any{"last_by_subj": subject})
}

func message(ctx context.Context, nc *nats.Conn, stream string, request map[string]any) (Fact, bool, error) {
	var reply struct {
		Message struct {
			Subject  string    `json:"subject"`
			Sequence uint64    `json:"seq"`
			Header   []byte    `json:"hdrs"`
			Data     []byte    `json:"data"`
			Time     time.Time `json:"time"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := ask(ctx, nc, "$JS.API.STREAM.MSG.GET."+stream, request, &reply); err != nil {
		return Fact{}, false, fmt.Errorf("message of %s: %w", stream, err)
	}
	if reply.Error != nil && reply.Error.ErrorCode == codeNoMessage {
		return Fact{}, false, nil
	}
	if reply.Error != nil {
		return Fact{}, false, refused(reply.Error)
	}
	m := reply.Message
	fact := Fact{Subject: m.Subject, Sequence: m.Sequence, Time: m.Time, Data: m.Data, Header: nats.Header{}}
	if len(m.Header) == 0 {
		return fact, true, nil
	}
	header, err := nats.DecodeHeadersMsg(m.Header)
	if err != nil {
		return Fact{}, false, fmt.Errorf("header of a message of %s: %w", stream, err)
	}
	fact.Header = header
	return fact, true, nil
}
