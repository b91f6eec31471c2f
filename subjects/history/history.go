// Package history reads the facts of a channel back from its stream without a
// consumer: it answers "what happened since?".
//
// A read is bounded by a watermark, the last sequence the stream's leader knows
// for the subject, and pages up to it by batched Direct Get. Any replica may
// answer a page and may lag behind the leader, so a read that falls short of the
// watermark is repeated: what is returned as complete is complete. Nothing is
// left behind on the server when a reader goes away.
//
// It also judges whether a reader may go on from where it stood. A position names
// an epoch, a sequence and the time of the message there. The epoch changes when
// the stream is created, and when whoever declares it learns that it lost messages
// which had been told. But a stream can lose its tail with nobody there to learn
// it, and grow beyond the reader again. Then the time is the proof: at the
// reader's sequence there is a message of another moment, or none yet. It costs one
// request and no bookkeeping, and holds for whatever befell the stream. A
// position without a time is believed when a fact of the subject is there. Every
// position that is given out has one, unless it is the beginning: where its message
// is gone, the time of a later one, which no other message there can have.
//
// That nothing behind the position was removed is proven by the reader's own
// message, because limits and purges take the oldest of a subject first; or else
// by the oldest fact kept, which is older, or names its predecessor (the version
// that it was appended with); or else by the stream, which still begins where the
// reader stands; or else by what lies between, if it is no more than a page: all of
// it is kept, and of other subjects. So it is with who was told that nothing was
// there. What none of these proves is told as a gap. Not noticed are a single message
// deleted by hand from the middle, and a lost tail whose readers' own messages were
// removed since.
//
// The bridge and the services both read through this package. It imports
// subjects and nats.go.
package history

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

const (
	pageFacts = 256
	pageBytes = 1 << 20
	// requestTimeout bounds one request; reads ask again until their context ends.
	requestTimeout = 2 * time.Second
)

// ErrStream is returned when the stream does not exist.
var ErrStream = errors.New("no such stream")

// Fact is one stored message.
type Fact struct {
	Subject  string
	Sequence uint64
	Time     time.Time
	Header   nats.Header
	Data     []byte
}

// Page is a run of facts of one subject, in order and without a hole.
type Page struct {
	Facts   []Fact
	Pending uint64 // facts of the subject after the last one of the page, as the answering replica knows
	upTo    uint64 // the last sequence that the answering replica has; 0 when it found nothing
}

// Stream is the identity and the extent of a stream, as its leader knows it.
type Stream struct {
	Epoch   string    // changes when the stream is created anew, or renewed
	First   uint64    // oldest kept sequence
	Last    uint64    // newest sequence
	LastAt  time.Time // when the newest was stored
	Deleted uint64    // messages removed between First and Last
	Now     time.Time // when the leader said so, by its clock
	Quorum  bool      // the leader hears enough of the replicas to decide
}

// End is where a reader of the whole stream stands.
func (s Stream) End() Position { return Position{Epoch: s.Epoch, Sequence: s.Last, At: s.LastAt} }

// Describe asks the leader for the stream's identity and extent.
func Describe(ctx context.Context, nc *nats.Conn, stream string) (Stream, error) {
	var info struct {
		Created time.Time `json:"created"`
		Config  struct {
			Metadata map[string]string `json:"metadata"`
		} `json:"config"`
		State struct {
			First   uint64    `json:"first_seq"`
			Last    uint64    `json:"last_seq"`
			LastAt  time.Time `json:"last_ts"`
			Deleted uint64    `json:"num_deleted"`
		} `json:"state"`
		Cluster struct {
			Replicas []replica `json:"replicas"`
		} `json:"cluster"`
		Now   time.Time           `json:"ts"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := ask(ctx, nc, "$JS.API.STREAM.INFO."+stream, nil, &info); err != nil {
		return Stream{}, fmt.Errorf("stream info: %w", err)
	}
	if info.Error != nil {
		return Stream{}, refused(info.Error)
	}
	return Stream{
		Epoch: subjects.Epoch(info.Created, info.Config.Metadata),
		First: info.State.First, Last: info.State.Last, LastAt: info.State.LastAt, Deleted: info.State.Deleted, Now: info.Now,
		Quorum: quorum(info.Cluster.Replicas),
	}, nil
}

// Deleted asks the leader for the numbers between its first message and its last which
// have none any more, in order, and for the stream's identity. The answer is as long as
// they are many.
func Deleted(ctx context.Context, nc *nats.Conn, stream string) (identity string, deleted []uint64, err error) {
	var info struct {
		Created time.Time `json:"created"`
		Config  struct {
			Metadata map[string]string `json:"metadata"`
		} `json:"config"`
		State struct {
			Deleted []uint64 `json:"deleted"`
		} `json:"state"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := ask(ctx, nc, "$JS.API.STREAM.INFO."+stream, map[string]any{"deleted_details": true}, &info); err != nil {
		return "", nil, fmt.Errorf("stream info: %w", err)
	}
	if info.Error != nil {
		return "", nil, refused(info.Error)
	}
	slices.Sort(info.State.Deleted)
	return subjects.Epoch(info.Created, info.Config.Metadata), info.State.Deleted, nil
}

// Last asks the leader for the newest sequence of a subject, which may hold
// wildcards. It is 0 when the stream keeps no message of it.
func Last(ctx context.Context, nc *nats.Conn, stream, subject string) (uint64, error) {
	newest, err := Newest(ctx, nc, stream, subject)
	return newest.Sequence, err
}

// Newest is Last together with the time of the message. The epoch is left out.
func Newest(ctx context.Context, nc *nats.Conn, stream, subject string) (Position, error) {
	var reply struct {
		Message struct {
			Sequence uint64    `json:"seq"`
			Time     time.Time `json:"time"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	request := map[string]any{"last_by_subj": subject, "no_hdr": true}
	if err := ask(ctx, nc, "$JS.API.STREAM.MSG.GET."+stream, request, &reply); err != nil {
		return Position{}, fmt.Errorf("last of %s: %w", subject, err)
	}
	if reply.Error != nil && reply.Error.ErrorCode == codeNoMessage {
		return Position{}, nil
	}
	if reply.Error != nil {
		return Position{}, refused(reply.Error)
	}
	return Position{Sequence: reply.Message.Sequence, At: reply.Message.Time}, nil
}

const (
	codeNoMessage = 10037
	codeNoStream  = 10059
)

// refused is the error that JetStream answered.
func refused(answer *jetstream.APIError) error {
	if answer.ErrorCode == codeNoStream {
		return ErrStream
	}
	return answer
}

// ask sends a JetStream API request and decodes its answer. While the stream has
// no leader nobody answers, so it asks again until ctx ends.
func ask(ctx context.Context, nc *nats.Conn, subject string, request, reply any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			return err
		}
	}
	var told error // by the last answer, if any
	for {
		attempt, cancel := context.WithTimeout(ctx, requestTimeout)
		msg, err := nc.RequestWithContext(attempt, subject, body)
		cancel()
		if err == nil && !unavailable(msg.Data) {
			return json.Unmarshal(msg.Data, reply)
		}
		if err == nil {
			err, told = errUnavailable, errUnavailable
		}
		if told != nil && ctx.Err() != nil {
			return told // and not that the time was over
		}
		if !transient(err) || !pause(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

// errUnavailable is what JetStream itself answers while it has no quorum (ADR-7): what
// a read is told that met nobody else.
var errUnavailable = &jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream is temporarily unavailable"}

// unavailable says whether an answer is that of a server without contact to the
// rest of its cluster, or of one of those that have no leader: they tell of a stream
// what they know.
func unavailable(answer []byte) bool {
	var reply struct {
		Error *struct {
			Code int `json:"code"`
		} `json:"error"`
		Cluster *struct {
			Leader string `json:"leader"`
		} `json:"cluster"`
	}
	if !bytes.Contains(answer, []byte(`"error"`)) && !bytes.Contains(answer, []byte(`"cluster"`)) || json.Unmarshal(answer, &reply) != nil {
		return false
	}
	return reply.Error != nil && reply.Error.Code == 503 || reply.Cluster != nil && reply.Cluster.Leader == ""
}

// transient says whether asking again may help while the caller's context lasts.
func transient(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) ||
		errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrConnectionReconnecting) ||
		errors.Is(err, nats.ErrReconnectBufExceeded) || errors.Is(err, errUnavailable)
}

// pause waits and says whether ctx still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
