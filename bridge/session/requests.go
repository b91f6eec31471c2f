package session

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
)

// take takes what a message asks, bytes long: one request, or several, of which the
// first pays for all the bytes.
func (s *session) take(request wire.Request, bytes int) {
	batch, several := request.(wire.Batch)
	if !several {
		s.dispatch(request, bytes)
		return
	}
	for _, request := range batch {
		s.dispatch(request, bytes)
		bytes = 0
	}
}

// dispatch takes one request. What needs the bus is worked on in the queue of its
// channel: requests about one channel are answered in order, and those about
// another do not wait for them.
func (s *session) dispatch(request wire.Request, bytes int) {
	if hello, ok := request.(wire.Hello); ok {
		s.hello(hello)
		return
	}
	if !s.isWelcomed() {
		s.end(schemas.Refuse(schemas.HelloExpected, "the first frame must be hello"))
		return
	}
	if !s.admit(request, bytes) {
		return
	}
	switch r := request.(type) {
	case wire.Hello, wire.Batch:
	case wire.Pong:
		s.ponged.Store(int64(netpoll.Uptime()))
	case wire.Probe:
		s.tell(wire.OK{Ref: r.Ref})
	case wire.Activity:
		s.touch()
	case wire.Watch:
		s.enqueue(r.Ref, watchQueue, func(ctx context.Context) error { return s.watch(ctx, r) })
	case wire.Count:
		s.enqueue(r.Ref, r.Channel, func(ctx context.Context) error { return s.count(ctx, r) })
	case wire.Token:
		s.renew(r)
	case wire.Subscribe:
		s.enqueue(r.Ref, r.Channel, func(ctx context.Context) error { return s.subscribe(ctx, r) })
	case wire.Unsubscribe:
		s.enqueue(r.Ref, r.Channel, func(ctx context.Context) error { return s.unsubscribe(ctx, r) })
	case wire.Track:
		s.enqueue(r.Ref, r.Channel, func(ctx context.Context) error { return s.track(ctx, r) })
	case wire.Untrack:
		s.enqueue(r.Ref, r.Channel, func(ctx context.Context) error { return s.untrack(ctx, r) })
	case wire.Publish:
		s.publish(r)
	case wire.Call:
		s.enqueue(r.Ref, r.Channel, func(ctx context.Context) error { return s.call(ctx, r) })
	}
}

func (s *session) isWelcomed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.welcomed
}

// hello opens the session.
func (s *session) hello(r wire.Hello) {
	if s.isWelcomed() {
		s.refuse("", schemas.Refuse(schemas.InvalidFrame, "hello was said already"))
		return
	}
	if err := s.node.Door.Take(&s.payer, admission.Cost{Work: admission.Verify}); err != nil {
		s.end(schemas.RefusalOf(err))
		return
	}
	secret := r.Resume
	if len(secret) < minSecret || len(secret) > maxSecret {
		secret = rand.Text()
	}
	id, err := s.identify(r, secret)
	if err == nil && id.Anonymous() {
		r.Device = ""
		s.payer.User, err = s.visit.WelcomeAnonymous()
	} else if err == nil {
		s.payer.User = s.visit.Welcome(id.User)
	}
	if err != nil {
		s.end(schemas.RefusalOf(err))
		return
	}
	if err := s.node.Door.Take(&s.payer, admission.Greeting(r)); err != nil {
		s.end(schemas.RefusalOf(err))
		return
	}
	s.user, s.ref = id.User, reference(id.User, secret)
	s.generation = generationAfter(r.Generation, s.node.Hub.Leases.Now())
	replaced, err := s.node.registry.add(s)
	if err != nil {
		s.end(schemas.RefusalOf(err))
		return
	}
	if replaced != nil {
		replaced.end(errReplaced)
	}
	if secret == r.Resume {
		_ = s.tellMoved(false) // or once more, when the bus is back
	}
	s.mu.Lock()
	s.identity, s.welcomed = id, true
	s.mu.Unlock()
	s.outlet.Bound(ownBytes)
	limits := s.node.Limits
	s.reader.Limit = limits.Frame
	s.tell(wire.Welcome{
		Session: secret, Ref: s.ref, Generation: s.generation,
		User: id.User, Name: id.Name, Role: id.Role, Node: s.node.name,
		Ping: limits.Ping, Limits: wire.Limits{Frame: limits.Frame, Channels: limits.Channels, Publishes: limits.Publishes},
	})
	if s.node.Hub.Degraded.Load() {
		s.tell(wire.Degraded{})
	}
	s.registerDevice(r.Device, secret == r.Resume)
}

// Bounds of a resume secret, in bytes.
const (
	minSecret = 16
	maxSecret = 128
)

// renew replaces the token in place; it must be of the same user.
func (s *session) renew(r wire.Token) {
	id, err := s.reidentify(r.Token)
	if err == nil && id.User != s.user {
		err = schemas.Refuse(schemas.Forbidden, "the token is of another user")
	}
	if err != nil {
		s.refuse(r.Ref, err)
		return
	}
	s.mu.Lock()
	s.identity = id
	s.mu.Unlock()
	s.tell(wire.OK{Ref: r.Ref})
	for _, c := range s.outlet.Following() {
		s.node.Hub.Doubt(c.Channel().Name, s)
	}
}

// admit passes a request by the doorman, who refuses it when too much is asked
// for. What has no answer counts as strain.
func (s *session) admit(request wire.Request, bytes int) bool {
	ref, cost := admission.Price(request, bytes, s.outlet.Count())
	if cost == (admission.Cost{}) {
		return !s.strained()
	}
	if err := s.node.Door.Take(&s.payer, cost); err != nil {
		s.refuse(ref, err)
		s.strained()
		return false
	}
	return true
}

// strained notes a frame that was in vain, and ends a session that sends far too
// many of them.
func (s *session) strained() bool {
	strained := s.node.Door.Strained(&s.strain)
	if strained {
		s.end(schemas.Refuse(schemas.RateLimited, "far too many frames that are refused, or that nobody asked for"))
	}
	return strained
}

// enqueue has a request worked on in the queue of its channel.
func (s *session) enqueue(ref, channel string, job func(context.Context) error) {
	if s.outlet.Over() {
		return
	}
	first, ok := s.queues.add(ref, channel, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
		defer cancel()
		err := job(ctx)
		s.queues.done(ref)
		if err != nil && ctx.Err() == context.DeadlineExceeded {
			err = ErrUnanswered
		}
		if err != nil {
			s.node.Door.Charge(&s.payer, admission.Refused)
			s.refuse(ref, err)
		}
	})
	if !ok {
		s.refuse(ref, schemas.Refuse(schemas.DuplicateID, "another request with this id is in work"))
		return
	}
	if first {
		s.working.Add(1)
		s.node.Hub.Start(func(ctx context.Context) {
			defer s.working.Done()
			s.queues.run(ctx, channel)
		})
	}
}

// now is the time in the precision that travels.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
