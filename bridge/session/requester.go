package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology"
)

const (
	// pendingAtOnce bounds what waits for an answer from the bus.
	pendingAtOnce = 1 << 16
	// answerWait is how long an answer is waited for in all: publishers must
	// survive the election of a leader.
	answerWait = 12 * time.Second
	// resendAfter is how long an answer may take before the request is asked
	// again. Every request carries a message id, so asking twice does no harm.
	resendAfter = 2 * time.Second
	// noticeNoResponder is how soon a request that nobody took is asked again: a
	// service may be restarting, a stream electing its leader.
	noticeNoResponder = 100 * time.Millisecond
	requestInterval   = 50 * time.Millisecond
)

// requester asks the bus without a goroutine per request: one inbox takes all
// answers, one sweep repeats and gives up.
type requester struct {
	nc     *nats.Conn
	prefix string
	full   atomic.Bool // nothing is stored for want of room

	mu      sync.Mutex
	pending map[string]*pendingRequest
	last    uint64
}

type pendingRequest struct {
	msg      *nats.Msg
	answered func(*nats.Msg, error)
	again    time.Time // when to ask again
	until    time.Time // when to give up
	silent   bool      // somebody was there, but did not answer
}

var (
	errBusy   = schemas.Refuse(schemas.Busy, "too many requests wait for the bus")
	errNobody = schemas.Refuse(schemas.Unavailable, "nobody takes this at the moment")
	// ErrUnanswered is what somebody is told whose request nobody answered.
	ErrUnanswered      = schemas.Refuse(schemas.Timeout, "no answer in time: repeat with the same key")
	errFull            = schemas.Refuse(schemas.StorageFull, "there is no room to store it now, and it may yet be stored: repeat it later with the same key")
	errRequesterClosed = errors.New("the requester has ended")
)

func newRequester(nc *nats.Conn) *requester {
	return &requester{nc: nc, prefix: nc.NewRespInbox() + ".", pending: make(map[string]*pendingRequest)}
}

// run takes answers until ctx ends, when every open request is given up.
func (r *requester) run(ctx context.Context) error {
	answers, err := r.nc.Subscribe(r.prefix+"*", r.answer)
	if err != nil {
		return err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := answers.SetPendingLimits(-1, -1); err != nil { // bounded by pendingAtOnce
		return err
	}
	hub.Every(ctx, requestInterval, func() { r.sweep(time.Now()) })
	r.mu.Lock()
	open := r.pending
	r.pending = make(map[string]*pendingRequest)
	r.mu.Unlock()
	for _, q := range open {
		q.answered(nil, errRequesterClosed)
	}
	return nil
}

// send sends msg and calls answered once, from another goroutine, with the answer
// or the reason why there is none. answered must not block.
func (r *requester) send(msg *nats.Msg, answered func(*nats.Msg, error)) {
	now := time.Now()
	q := &pendingRequest{msg: msg, answered: answered, again: now.Add(resendAfter), until: now.Add(answerWait), silent: true}
	if r.full.Load() && isStored(msg.Subject) {
		answered(nil, errFull)
		return
	}
	r.mu.Lock()
	if len(r.pending) >= pendingAtOnce {
		r.mu.Unlock()
		answered(nil, errBusy)
		return
	}
	r.last++
	id := strconv.FormatUint(r.last, 36)
	msg.Reply = r.prefix + id
	r.pending[id] = q
	r.mu.Unlock()
	if r.nc.PublishMsg(msg) != nil {
		r.postpone(id) // the bus is away: it is asked again when it is back
	}
}

// isStored tells that a stream takes what is sent there.
func isStored(subject string) bool {
	return strings.HasPrefix(subject, "evt.") || strings.HasPrefix(subject, "$KV.")
}

// request is send for a caller that may block.
func (r *requester) request(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	type result struct {
		msg *nats.Msg
		err error
	}
	results := make(chan result, 1)
	r.send(msg, func(msg *nats.Msg, err error) { results <- result{msg, err} })
	select {
	case r := <-results:
		return r.msg, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (r *requester) answer(msg *nats.Msg) {
	id := strings.TrimPrefix(msg.Subject, r.prefix)
	if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		r.postpone(id)
		return
	}
	r.mu.Lock()
	q := r.pending[id]
	if q != nil && isStored(q.msg.Subject) && bytes.Contains(msg.Data, inProcess) {
		q.again = time.Now().Add(noticeNoResponder)
		r.mu.Unlock()
		return
	}
	delete(r.pending, id)
	r.mu.Unlock()
	if q != nil {
		q.answered(msg, nil)
	}
}

// inProcess is in an answer that is none: an earlier attempt is being stored.
var inProcess = fmt.Appendf(nil, `"err_code":%d`, topology.CodeInProcess)

// postpone has a request asked again soon, since nobody took it.
func (r *requester) postpone(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if q := r.pending[id]; q != nil {
		q.again, q.silent = time.Now().Add(noticeNoResponder), false
	}
}

func (r *requester) sweep(now time.Time) {
	var ended, repeat []*pendingRequest
	full := r.full.Load()
	r.mu.Lock()
	for id, q := range r.pending {
		switch {
		case now.After(q.until), full && now.After(q.until.Add(resendAfter-answerWait)):
			delete(r.pending, id)
			ended = append(ended, q)
		case now.After(q.again):
			q.again, q.silent = now.Add(resendAfter), true
			repeat = append(repeat, q)
		}
	}
	r.mu.Unlock()
	for _, q := range repeat {
		_ = r.nc.PublishMsg(q.msg) // a failure is asked again like a silence
	}
	for _, q := range ended {
		switch {
		case full:
			q.answered(nil, errFull)
		case q.silent:
			q.answered(nil, ErrUnanswered)
		default:
			q.answered(nil, errNobody)
		}
	}
}
