package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// recheck is how often a read that makes no progress asks the leader whether its
// watermark still stands: facts may be deleted while they are read.
const recheck = 250 * time.Millisecond

// Read calls each with every page of the subject's facts after sequence after,
// oldest first, until upTo is reached. The subject may hold wildcards. It returns
// the sequence up to which the reader is now whole, at least upTo unless the
// facts there were deleted meanwhile. An error of each ends the read.
func Read(ctx context.Context, nc *nats.Conn, stream, subject string, after, upTo uint64, each func(Page) error) (uint64, error) {
	checked := time.Now()
	for after < upTo {
		page, err := Next(ctx, nc, stream, subject, after)
		if err != nil {
			return after, err
		}
		if n := len(page.Facts); n > 0 {
			if err := each(page); err != nil {
				return after, err
			}
			after, checked = page.Facts[n-1].Sequence, time.Now()
			continue
		}
		if !pause(ctx, 2*time.Millisecond) {
			return after, context.Cause(ctx)
		}
		if time.Since(checked) < recheck {
			continue
		}
		last, err := Last(ctx, nc, stream, subject)
		if err != nil {
			return after, err
		}
		if last <= after {
			return upTo, nil // what stood between was deleted
		}
		upTo, checked = min(upTo, last), time.Now()
	}
	return after, nil
}

// Next reads one page of the subject's facts after a sequence. An empty page
// means that the replica which answered has nothing newer; it may lag.
func Next(ctx context.Context, nc *nats.Conn, stream, subject string, after uint64) (Page, error) {
	return get(ctx, nc, stream, map[string]any{
		"seq": after + 1, "next_by_subj": subject, "batch": pageFacts, "max_bytes": pageBytes,
	})
}

// get asks for one page until it has an answer or ctx ends.
func get(ctx context.Context, nc *nats.Conn, stream string, request map[string]any) (Page, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return Page{}, err
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, requestTimeout)
		page, err := batch(attempt, nc, "$JS.API.DIRECT.GET."+stream, body)
		cancel()
		if err == nil {
			return page, nil
		}
		if ctx.Err() != nil || !transient(err) || !pause(ctx, 50*time.Millisecond) {
			return Page{}, fmt.Errorf("read %v of %s: %w", request["next_by_subj"], stream, err)
		}
	}
}

var errBatch = errors.New("direct get refused")

// batch sends one batched Direct Get and collects its answers, which end with a
// message that carries a status instead of a fact.
func batch(ctx context.Context, nc *nats.Conn, subject string, request []byte) (Page, error) {
	inbox := nc.NewRespInbox()
	replies, err := nc.SubscribeSync(inbox)
	if err != nil {
		return Page{}, err
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := replies.SetPendingLimits(-1, -1); err != nil {
		return Page{}, err
	}
	if err := nc.PublishRequest(subject, inbox, request); err != nil {
		return Page{}, err
	}
	var page Page
	for {
		msg, err := replies.NextMsgWithContext(ctx)
		if err != nil {
			return Page{}, err
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
			fact, err := factOf(msg)
			if err != nil {
				return Page{}, err
			}
			page.Facts = append(page.Facts, fact)
		case "204":
			page.Pending, _ = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64)
			page.upTo, _ = strconv.ParseUint(msg.Header.Get("Nats-UpTo-Sequence"), 10, 64)
			return page, nil
		case "404":
			return page, nil
		case "503":
			return Page{}, nats.ErrNoResponders
		default:
			return Page{}, fmt.Errorf("%w: %s %s", errBatch, status, msg.Header.Get("Description"))
		}
	}
}

func factOf(msg *nats.Msg) (Fact, error) {
	sequence, err := strconv.ParseUint(msg.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return Fact{}, fmt.Errorf("sequence of a direct get: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return Fact{}, fmt.Errorf("time of a direct get: %w", err)
	}
	return Fact{Subject: msg.Header.Get("Nats-Subject"), Sequence: sequence, Time: at, Header: msg.Header, Data: msg.Data}, nil
}
