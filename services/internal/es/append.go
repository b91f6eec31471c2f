package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology"
)

const (
	// patience is how long an operation on the bus is tried again before the
	// caller is told. A stream without a leader is back within 7 seconds.
	patience = 12 * time.Second
	// attempt is how long one try may wait for its answer.
	attempt = 3 * time.Second
	// muteAfter is how many of them without an answer make a stream mute: fewer than
	// whoever commands waits for.
	muteAfter = 3
)

// errFull is what is told of what cannot be stored.
var errFull = schemas.Refuse(schemas.StorageFull, "there is no room to store it now, and it may yet be stored: repeat it later with the same key")

// errConflict is returned when an append's version check failed, or when one of
// several messages is stored already: reading the aggregate again tells which.
var errConflict = errors.New("the channel has moved on")

// Headers of an atomic batch (ADR-50), which nats.go has no names for.
const (
	headerBatch         = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// Answers of the stream to an append (server/errors.json of nats-server).
const (
	codeWrongVersion           = jetstream.JSErrCodeStreamWrongLastSequence
	codeWrongVersionReplicated = jetstream.JSErrCodeStreamWrongLastSequenceConstant

	codeBatchIncomplete jetstream.ErrorCode = 10176 // a part was lost, or had no room
	codeBatchDuplicate  jetstream.ErrorCode = 10201
	codeBatchCrowded    jetstream.ErrorCode = 10210
)

// bus is what all parts of a service share.
type bus struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	log *slog.Logger

	verifier *identity.Verifier // of the tokens of users
}

// ack is the stream's answer to an append.
type ack struct {
	first     uint64 // sequence of the first message
	duplicate bool   // stored before, at first
}

// append stores all messages, or none. Without an answer it tries again under
// the same message ids, so that nothing is stored twice.
func (b *bus) append(ctx context.Context, messages []*nats.Msg) (ack, error) {
	var stored ack
	silent := 0
	err := persist(ctx, func(trying context.Context) (err error) {
		stored, err = b.publish(trying, messages)
		if errors.Is(err, context.DeadlineExceeded) {
			silent++
		}
		if channel, unknown := subjects.ParseEvent(messages[0].Subject); unknown == nil && silent == muteAfter &&
			history.Mute(ctx, b.nc, subjects.Catalog[channel.Kind].Stream) {
			return errFull
		}
		return err
	})
	if silent > 0 && topology.IsUnavailable(err) {
		err = fmt.Errorf("%w: %w", errUncertain, err)
	}
	return stored, err
}

func (b *bus) publish(ctx context.Context, messages []*nats.Msg) (ack, error) {
	last := messages[len(messages)-1]
	if len(messages) > 1 {
		batch := nuid.Next()
		for i, message := range messages {
			message.Header.Set(headerBatch, batch)
			message.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
			if message == last {
				message.Header.Set(headerBatchCommit, "1")
			} else if err := b.nc.PublishMsg(message); err != nil {
				return ack{}, err
			}
		}
	}
	reply, err := b.nc.RequestMsgWithContext(ctx, last)
	if err != nil {
		return ack{}, err
	}
	var answer struct {
		Error     *jetstream.APIError `json:"error"`
		Sequence  uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return ack{}, fmt.Errorf("read ack: %w", err)
	}
	if answer.Error != nil {
		switch answer.Error.ErrorCode {
		case codeWrongVersion, codeWrongVersionReplicated, codeBatchDuplicate:
			return ack{}, errConflict
		}
		if topology.IsFull(answer.Error) {
			return ack{}, errFull
		}
		return ack{}, answer.Error
	}
	return ack{first: answer.Sequence - uint64(len(messages)-1), duplicate: answer.Duplicate}, nil
}

// persist tries until it succeeds, fails for a reason that will not pass, or
// patience ends.
func persist(ctx context.Context, try func(context.Context) error) error {
	for deadline := time.Now().Add(patience); ; {
		trying, cancel := context.WithTimeout(ctx, attempt)
		err := try(trying)
		cancel()
		if err == nil || !isTransient(err) || time.Now().After(deadline) || pause(ctx, 100*time.Millisecond) != nil {
			return err
		}
	}
}

// isTransient tells errors of a bus that will be back from others.
func isTransient(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.Code >= 500 || slices.Contains([]jetstream.ErrorCode{codeBatchIncomplete, codeBatchCrowded, topology.CodeInProcess}, api.ErrorCode)
	}
	for _, passes := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded, jetstream.ErrNoStreamResponse, errBehind,
	} {
		if errors.Is(err, passes) {
			return true
		}
	}
	return false
}

// pause waits for a random time of up to most.
func pause(ctx context.Context, most time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(rand.N(most)):
		return nil
	}
}
