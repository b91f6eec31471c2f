package bridge

import (
	"context"
	"fmt"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
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
	if err := s.bridge.mayRead(ctx, s.who(), name, kind); err != nil {
		return err
	}
	ch, err := s.bridge.hub.acquire(ctx, name)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	c := &cursor{session: s, channel: ch, presence: r.Presence, watching: watching}
	ok, err := c.place(ctx, r)
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
		s.letGo(replaced)
	}
	s.bridge.metrics.subscriptions.Inc()
	accepted(ok)
	ch.attach(c)
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

func (s *session) who() identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.identity
}

// place puts the cursor where the request wants to begin, and answers how much
// is to follow. Live events and changes of presence begin now.
func (c *cursor) place(ctx context.Context, r wire.Subscribe) (wire.OK, error) {
	ch := c.channel
	ok := wire.OK{Ref: r.Ref}
	since, replay, err := c.beginning(ctx, r)
	if err != nil {
		return ok, err
	}
	if !replay {
		ch.mu.Lock()
	} else if err := ch.lockWith(ctx, since); err != nil {
		return ok, err
	}
	defer ch.mu.Unlock()
	c.position, c.sequence = ch.ring.head(), ch.ring.last
	c.from, c.presenceFrom = c.position, c.position
	c.askState()
	if !ch.durable() {
		return ok, nil
	}
	position := ch.position()
	ok.Position = &position
	if !replay {
		return ok, nil
	}
	if r.Since != nil && r.Since.Epoch != ch.epoch {
		gap := ch.gap(r.Since.Sequence+1, r.Since.Sequence+1)
		gap.Position.Sequence = 0
		c.gap = &gap
	}
	missed := c.rewind(since)
	ok.Replaying = &missed
	return ok, nil
}

// rewind sets the cursor behind the fact with a sequence and returns how many
// facts follow it. The channel's lock is held, and what follows is at hand.
func (c *cursor) rewind(since uint64) uint64 {
	ring, position := &c.channel.ring, c.channel.position()
	c.sequence = since
	switch {
	case since > position.Sequence:
		c.ahead = true // another node was faster
		return 0
	case since >= ring.floor:
		c.position = ring.after(since)
		return ring.facts(since)
	}
	c.behind = true
	page := c.channel.pages.covering(since)
	missed := page.pending
	for _, e := range page.entries {
		if e.sequence > since {
			missed++
		}
	}
	return missed
}

// beginning is the sequence behind which the request wants to begin; replay is
// false when it wants new events only.
func (c *cursor) beginning(ctx context.Context, r wire.Subscribe) (since uint64, replay bool, err error) {
	ch := c.channel
	if !ch.durable() {
		return 0, false, nil
	}
	nc, stream, subject := ch.hub.bus.Replay, ch.kind.Stream, ch.name.Event()
	ch.mu.Lock()
	epoch, last := ch.epoch, max(ch.ring.last, ch.proven)
	ch.mu.Unlock()
	switch {
	case r.Since != nil && r.Since.Epoch != epoch:
		return 0, true, nil
	case r.Since != nil && r.Since.Sequence > last:
		return c.confirm(ctx, r.Since.Sequence)
	case r.Since != nil:
		return r.Since.Sequence, true, nil
	case r.Age > 0:
		since, err = history.Before(ctx, nc, stream, subject, now().Add(-r.Age))
		return since, true, err
	case r.Count > 0:
		since, err = history.Tail(ctx, nc, stream, subject, uint64(r.Count))
		return since, true, err
	}
	return 0, false, nil
}

// confirm deals with a position above what this node has seen: the leader says
// whether the node is behind, or the stream has lost what the client saw.
func (c *cursor) confirm(ctx context.Context, since uint64) (uint64, bool, error) {
	ch := c.channel
	last, err := history.Last(ctx, ch.hub.bus.Replay, ch.kind.Stream, ch.name.Event())
	if err != nil {
		return 0, false, err
	}
	if last >= since {
		ch.behind(last)
		return since, true, nil
	}
	stream, err := history.Describe(ctx, ch.hub.bus.Replay, ch.kind.Stream)
	if err != nil {
		return 0, false, err
	}
	if stream.Last >= since {
		return since, true, nil // a position between the channel's facts
	}
	gap := ch.gap(last+1, since)
	gap.Position.Sequence = last
	c.gap = &gap
	return last, true, nil
}

// lockWith takes the channel's lock at a moment when what follows a sequence is
// at hand, in the ring or in a page.
func (ch *channel) lockWith(ctx context.Context, since uint64) error {
	for {
		ch.mu.Lock()
		if since >= ch.ring.floor || ch.pages.covering(since) != nil {
			return nil
		}
		loading := ch.load(since)
		ch.mu.Unlock()
		select {
		case <-loading:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// unsubscribe ends a subscription and the presence that goes with it.
func (s *session) unsubscribe(ctx context.Context, r wire.Unsubscribe) error {
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

// recheck ends a subscription that its user has no more right to.
func (s *session) recheck(ctx context.Context, name subjects.Channel) {
	err := s.bridge.mayRead(ctx, s.who(), name, s.bridge.hub.kinds[name.Kind])
	if err == nil || schemas.RefusalOf(err).Code != schemas.Forbidden {
		return // an error of ours must not end anything
	}
	if s.drop(name.String()) {
		if err := s.vanish(ctx, name.String()); err != nil {
			s.bridge.log.Error("end presence", "channel", name.String(), "error", err)
		}
		s.tell(wire.Unsubscribed{Channel: name.String(), Code: int(schemas.Revoked), Reason: schemas.Revoked.Reason()})
	}
}
