package session

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/schemas"
)

const (
	// questionsAtOnce bounds what waits for an answer from the bus.
	questionsAtOnce = 1 << 16
	// answerWait is how long an answer is waited for in all: publishers must
	// survive the election of a leader.
	answerWait = 12 * time.Second
	// resendAfter is how long an answer may take before the question is asked
	// again. Every question carries a message id, so asking twice does no harm.
	resendAfter = 2 * time.Second
	// noticeNoResponder is how soon a question that nobody took is asked again: a
	// service may be restarting, a stream electing its leader.
	noticeNoResponder = 100 * time.Millisecond
	askerInterval     = 50 * time.Millisecond
)

// asker asks the bus without a goroutine per question: one inbox takes all
// answers, one sweep repeats and gives up.
type asker struct {
	nc     *nats.Conn
	prefix string
	full   atomic.Bool // nothing is stored for want of room

	mu        sync.Mutex
	questions map[string]*question
	last      uint64
}

type question struct {
	msg      *nats.Msg
	answered func(*nats.Msg, error)
	again    time.Time // when to ask again
	until    time.Time // when to give up
	silent   bool      // somebody was there, but did not answer
}

var (
	errBusy   = schemas.Refuse(schemas.Busy, "too many requests wait for the bus")
	errNobody = schemas.Refuse(schemas.Unavailable, "nobody takes this at the moment")
	// ErrUnanswered is what somebody is told whose question nobody answered.
	ErrUnanswered  = schemas.Refuse(schemas.Timeout, "no answer in time: repeat with the same key")
	errFull        = schemas.Refuse(schemas.StorageFull, "there is no room to store it now, and it may yet be stored: repeat it later with the same key")
	errAskerClosed = errors.New("the asker has ended")
)

func newAsker(nc *nats.Conn) *asker {
	return &asker{nc: nc, prefix: nc.NewRespInbox() + ".", questions: make(map[string]*question)}
}

// run takes answers until ctx ends, when every open question is given up.
func (a *asker) run(ctx context.Context) error {
	answers, err := a.nc.Subscribe(a.prefix+"*", a.answer)
	if err != nil {
		return err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := answers.SetPendingLimits(-1, -1); err != nil { // bounded by questionsAtOnce
		return err
	}
	hub.Every(ctx, askerInterval, func() { a.sweep(time.Now()) })
	a.mu.Lock()
	open := a.questions
	a.questions = make(map[string]*question)
	a.mu.Unlock()
	for _, q := range open {
		q.answered(nil, errAskerClosed)
	}
	return nil
}

// ask sends msg and calls answered once, from another goroutine, with the answer
// or the reason why there is none. answered must not block.
func (a *asker) ask(msg *nats.Msg, answered func(*nats.Msg, error)) {
	now := time.Now()
	q := &question{msg: msg, answered: answered, again: now.Add(resendAfter), until: now.Add(answerWait), silent: true}
	if a.full.Load() && isStored(msg.Subject) {
		answered(nil, errFull)
		return
	}
	a.mu.Lock()
	if len(a.questions) >= questionsAtOnce {
		a.mu.Unlock()
		answered(nil, errBusy)
		return
	}
	a.last++
	id := strconv.FormatUint(a.last, 36)
	msg.Reply = a.prefix + id
	a.questions[id] = q
	a.mu.Unlock()
	if a.nc.PublishMsg(msg) != nil {
		a.postpone(id) // the bus is away: it is asked again when it is back
	}
}

// isStored tells that a stream takes what is sent there.
func isStored(subject string) bool {
	return strings.HasPrefix(subject, "evt.") || strings.HasPrefix(subject, "$KV.")
}

// askAndWait is ask for a caller that may block.
func (a *asker) askAndWait(ctx context.Context, msg *nats.Msg) (*nats.Msg, error) {
	type result struct {
		msg *nats.Msg
		err error
	}
	results := make(chan result, 1)
	a.ask(msg, func(msg *nats.Msg, err error) { results <- result{msg, err} })
	select {
	case r := <-results:
		return r.msg, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (a *asker) answer(msg *nats.Msg) {
	id := strings.TrimPrefix(msg.Subject, a.prefix)
	if len(msg.Data) == 0 && msg.Header.Get("Status") == "503" {
		a.postpone(id)
		return
	}
	a.mu.Lock()
	q := a.questions[id]
	delete(a.questions, id)
	a.mu.Unlock()
	if q != nil {
		q.answered(msg, nil)
	}
}

// postpone has a question asked again soon, since nobody took it.
func (a *asker) postpone(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if q := a.questions[id]; q != nil {
		q.again, q.silent = time.Now().Add(noticeNoResponder), false
	}
}

func (a *asker) sweep(now time.Time) {
	var ended, repeat []*question
	full := a.full.Load()
	a.mu.Lock()
	for id, q := range a.questions {
		switch {
		case now.After(q.until), full && now.After(q.until.Add(resendAfter-answerWait)):
			delete(a.questions, id)
			ended = append(ended, q)
		case now.After(q.again):
			q.again, q.silent = now.Add(resendAfter), true
			repeat = append(repeat, q)
		}
	}
	a.mu.Unlock()
	for _, q := range repeat {
		_ = a.nc.PublishMsg(q.msg) // a failure is asked again like a silence
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
