package bridge

import (
	"context"
	"fmt"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// subscribe lets the session follow a channel, from a position on.
func (s *session) subscribe(ctx context.Context, r wire.Subscribe) error {
	return s.follow(ctx, r, false, func(ok wire.OK) { s.tell(ok) })
}

// follow is subscribe; accepted is called before anything of the channel is told.
func (s *session) follow(ctx context.Context, r wire.Subscribe, watching bool, accepted func(wire.OK)) error {
	name, kind, err := s.bridge.resolve(r.Channel)
	if err != nil {
		return err
	}
	if err := s.room(r.Channel); err != nil {
		return err
	}
	heard := s.bridge.hub.rights.heard()
	member, err := s.bridge.mayRead(ctx, s.who(), name, kind)
	if err != nil {
		return err
	}
	ch, err := s.bridge.hub.acquire(ctx, name)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	c := &cursor{session: s, channel: ch, member: member, presence: r.Presence, watching: watching}
	ok, err := c.begin(ctx, r)
	if err == nil && r.Presence {
		err = ch.muster(ctx)
	}
	if err != nil {
		s.bridge.hub.release(ch)
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.bridge.hub.release(ch)
		return nil
	}
	replaced := s.cursors[ch.label]  // by a second subscribe
	if replaced == nil && s.full() { // others were placed meanwhile
		s.mu.Unlock()
		s.bridge.hub.release(ch)
		return s.tooManyChannels()
	}
	if s.cursors == nil {
		s.cursors = make(map[string]*cursor)
	}
	s.cursors[ch.label] = c // not the request's own string, which keeps its whole frame alive
	s.mu.Unlock()
	if replaced != nil {
		ok = c.takeOver(replaced, ok, r.Anew)
		s.letGo(replaced)
	}
	s.bridge.metrics.subscriptions.Inc()
	accepted(ok)
	ch.attach(c)
	if kind.Read.ByMembership() && s.bridge.hub.rights.heard() != heard { // of somebody who was let in a moment ago
		s.bridge.hub.rights.doubt(name, s)
	}
	return nil
}

// room refuses one subscription too many.
func (s *session) room(channel string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, again := s.cursors[channel]; !again && s.full() {
		return s.tooManyChannels()
	}
	return nil
}

// full is asked with the session's lock held.
func (s *session) full() bool { return len(s.cursors) >= s.bridge.limits.Channels }

func (s *session) tooManyChannels() error {
	return schemas.Refuse(schemas.TooManyChannels, "at most %d channels per session", s.bridge.limits.Channels)
}

func (s *session) who() identity.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// unsubscribe ends a subscription and the presence that goes with it.
func (s *session) unsubscribe(ctx context.Context, r wire.Unsubscribe) error {
	if _, _, err := s.bridge.resolve(r.Channel); err != nil {
		return err
	}
	if !s.drop(r.Channel) {
		return schemas.Refuse(schemas.NotSubscribed, "there is no subscription to this channel")
	}
	if err := s.vanish(ctx, r.Channel); err != nil {
		return err
	}
	s.tell(wire.OK{Ref: r.Ref})
	return nil
}

// drop detaches the session's cursor from a channel.
func (s *session) drop(channel string) bool {
	s.mu.Lock()
	c := s.cursors[channel]
	delete(s.cursors, channel)
	s.mu.Unlock()
	if c == nil {
		return false
	}
	s.letGo(c)
	return true
}

// letGo lets go of a cursor that is the session's no more.
func (s *session) letGo(c *cursor) {
	c.channel.detach(c)
	s.bridge.hub.release(c.channel)
	s.bridge.metrics.subscriptions.Dec()
}

// recheck ends a subscription that its user has no more right to. An error is
// ours, and says nothing about the right.
func (s *session) recheck(ctx context.Context, name subjects.Channel) error {
	s.mu.Lock()
	c, following := s.cursors[name.String()]
	_, present := s.tracks[name.String()]
	s.mu.Unlock()
	if !following && !present {
		return nil
	}
	member, err := s.bridge.mayRead(ctx, s.who(), name, s.bridge.hub.kinds[name.Kind])
	if err == nil && following {
		c.admit(member)
	}
	if err == nil || schemas.RefusalOf(err).Code != schemas.Forbidden {
		return err
	}
	ended := s.drop(name.String())
	if err := s.vanish(ctx, name.String()); err != nil {
		s.bridge.log.Error("end presence", "channel", name.String(), "error", err)
	}
	if ended {
		s.tell(wire.Unsubscribed{Channel: name.String(), Code: int(schemas.Revoked), Reason: schemas.Revoked.Reason()})
	}
	return nil
}
