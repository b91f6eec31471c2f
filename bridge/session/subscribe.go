package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/hub"
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
	name, kind, err := s.node.Resolve(r.Channel)
	if err != nil {
		return err
	}
	if err := s.room(r.Channel); err != nil {
		return err
	}
	heard := s.node.Hub.MemberChanges()
	st, err := s.stand(r, s.standingOn(name))
	if err != nil {
		return err
	}
	id, err := st.of(s.who(), name)
	if err != nil {
		return err
	}
	member, err := s.node.MayRead(ctx, id, name, kind)
	if err != nil {
		return err
	}
	if err := s.leaveAs(ctx, name, id.User); err != nil {
		return err
	}
	ch, err := s.node.Hub.Acquire(ctx, name)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	c := hub.NewCursor(&s.outlet, ch, member, r.Presence)
	c.User = id.User
	s.setStanding(c, st)
	c.Watching = watching
	if r.NoEcho {
		c.Except = s.ref
	}
	ok, err := s.place(ctx, c, r)
	if err == nil && r.Presence {
		err = ch.LoadPresence(ctx)
	}
	if err != nil {
		s.release(c)
		return err
	}
	replaced, kept := s.outlet.Keep(c, s.node.Limits.Channels)
	if !kept { // it has ended meanwhile, or others were placed
		s.release(c)
		if s.hasEnded() {
			return nil
		}
		return s.tooManyChannels()
	}
	if replaced != nil {
		ok = c.TakeOver(replaced, ok, r.Anew)
		s.detach(replaced)
	}
	s.node.metrics.subscriptions.Inc()
	accepted(ok)
	ch.Attach(c)
	if kind.Read.ByMembership() && s.node.Hub.MemberChanges() != heard { // of somebody who was let in a moment ago
		s.node.Hub.Doubt(name, s)
	}
	return nil
}

// place places a cursor, as one of few reads of history that its user has at once.
func (s *session) place(ctx context.Context, c *hub.Cursor, r wire.Subscribe) (wire.OK, error) {
	if !c.Channel().Durable() || r.Since == nil && r.Count == 0 && r.Age == 0 {
		return c.Seek(ctx, r)
	}
	done, err := admission.Read(ctx, s.payer.User)
	if err != nil {
		return wire.OK{}, err
	}
	defer done()
	ok, err := c.Seek(ctx, r)
	if c.Behind() {
		s.node.Door.Charge(&s.payer, admission.StreamPage)
	}
	return ok, err
}

// room refuses one subscription too many.
func (s *session) room(channel string) error {
	if s.outlet.Follows(channel) == nil && s.outlet.Count() >= s.node.Limits.Channels {
		return s.tooManyChannels()
	}
	return nil
}

func (s *session) tooManyChannels() error {
	return schemas.Refuse(schemas.TooManyChannels, "at most %d channels per session", s.node.Limits.Channels)
}

func (s *session) who() identity.Identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// unsubscribe ends a subscription and the presence that goes with it.
func (s *session) unsubscribe(ctx context.Context, r wire.Unsubscribe) error {
	if _, _, err := s.node.Resolve(r.Channel); err != nil {
		return err
	}
	if !s.drop(r.Channel) {
		return schemas.Refuse(schemas.NotSubscribed, "there is no subscription to this channel")
	}
	if err := s.removeEntry(ctx, r.Channel); err != nil {
		return err
	}
	s.tell(wire.OK{Ref: r.Ref})
	return nil
}

// drop detaches the session's cursor from a channel.
func (s *session) drop(channel string) bool {
	return s.dropThose(func(followed string, _ *hub.Cursor) bool { return followed == channel })
}

func (s *session) dropThose(out func(channel string, c *hub.Cursor) bool) bool {
	dropped := s.outlet.Drop(out)
	for _, c := range dropped {
		s.detach(c)
	}
	return len(dropped) > 0
}

// detach lets go of a cursor that is the session's no more.
func (s *session) detach(c *hub.Cursor) {
	c.Channel().Detach(c)
	s.release(c)
	s.node.metrics.subscriptions.Dec()
}

// Recheck ends a subscription that its user has no more right to. An error is
// ours, and says nothing about the right.
func (s *session) Recheck(ctx context.Context, name subjects.Channel) error {
	c := s.outlet.Follows(name.String())
	s.mu.Lock()
	_, present := s.tracks[name.String()]
	s.mu.Unlock()
	if c == nil && !present {
		return nil
	}
	kind, _ := s.node.Hub.Kind(name)
	id, err := s.whoOn(name)
	if err == nil {
		var member hub.Membership
		if member, err = s.node.MayRead(ctx, id, name, kind); err == nil && c != nil {
			c.Admit(member)
		}
	}
	code := schemas.Revoked
	switch {
	case errors.Is(err, errTokenOver):
		code = schemas.TokenExpired
	case err == nil || schemas.RefusalOf(err).Code != schemas.Forbidden:
		return err
	}
	ended := s.dropThose(func(_ string, followed *hub.Cursor) bool { return followed == c })
	if c != nil && !ended {
		return nil // what replaced it was looked at later
	}
	if err := s.removeEntry(ctx, name.String()); err != nil {
		s.node.log.Error("end presence", "channel", name.String(), "error", err)
	}
	if ended {
		s.tell(wire.Unsubscribed{Channel: name.String(), Code: int(code), Reason: code.Reason()})
		if s.listens() && s.outlet.Count() == 0 {
			s.end(schemas.Refuse(code, "nothing is left to listen to"))
		}
	}
	return nil
}
