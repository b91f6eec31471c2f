package hub

import (
	"context"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects/history"
)

// beginning is where a request wants to begin.
type beginning struct {
	history.Standing
	replay bool // otherwise it wants new events only
	life   int  // of the channel when it was found
}

// Seek puts the cursor where the request wants to begin, and answers how much
// is to follow. Live events and changes of presence begin now.
func (c *Cursor) Seek(ctx context.Context, r wire.Subscribe) (wire.OK, error) {
	ch := c.channel
	ok := wire.OK{Ref: r.Ref}
	start, err := c.lockAtBeginning(ctx, r)
	if err != nil {
		return ok, err
	}
	defer ch.unlock()
	c.begin(start, r.Since != nil, &ok)
	return ok, nil
}

// begin puts the cursor where it begins, and says in the answer how much is to follow,
// which is at hand. proven is a beginning that was asked for by a position.
func (c *place) begin(start beginning, proven bool, ok *wire.OK) {
	s := c.at
	c.life = s.life
	c.position, c.sequence, c.origin = s.ring.head(), s.ring.last, s.ring.last
	c.from, c.presenceFrom = c.position, c.position
	c.askState()
	if !s.Durable() {
		return
	}
	ok.Position = new(s.position(s.head()))
	if c.mark != nil && start.Missing == nil { // or else the gap says more
		c.start = ok.Position
		if start.replay {
			c.start = new(s.position(start.Place("")))
		}
	}
	if !start.replay {
		return
	}
	if start.Missing != nil {
		gap := s.gap(*start.Missing, start.Place(s.epoch))
		c.gap = &gap
	}
	c.origin = start.After
	missed := c.rewind(start.After)
	c.open = c.behind && !proven
	ok.Replaying = &missed
}

// lockAtBeginning takes the channel's lock at a moment when what the request
// wants first is at hand, in the ring or in a page.
func (c *Cursor) lockAtBeginning(ctx context.Context, r wire.Subscribe) (beginning, error) {
	ch := c.channel
	for {
		start, err := c.beginning(ctx, r)
		if err != nil {
			return start, err
		}
		ch.mu.Lock()
		for ch.life == start.life && ch.anew == nil {
			if ch.atHand(start) {
				return start, nil
			}
			loading := ch.load(start.After)
			ch.mu.Unlock()
			if err := await(ctx, loading); err != nil {
				return start, err
			}
			ch.mu.Lock()
		}
		anew := ch.anew // whatever was found is moot
		ch.mu.Unlock()
		if anew != nil {
			if err := await(ctx, anew); err != nil {
				return start, err
			}
		}
	}
}

// atHand says whether what follows a beginning is here, in the ring or in a page.
func (s *state) atHand(start beginning) bool {
	if !start.replay || start.After >= s.ring.floor {
		return true
	}
	page := s.pages.covering(start.After)
	if page != nil && page.known < s.ring.floor {
		s.pages.forget(page) // how many have followed it since, nobody knows
		return false
	}
	return page != nil
}

// TakeOver puts the cursor where the one stands that it replaces, so that the
// reader loses nothing and gets nothing twice: unless the request wants more than
// that one was to give, or anew what that one gave. Who is there is told anew. It
// returns the answer to the request as it is then.
func (c *Cursor) TakeOver(old *Cursor, ok wire.OK, anew bool) wire.OK {
	ch := c.channel
	ch.mu.Lock()
	defer ch.unlock()
	ch.drop(old)
	if old.stop > c.member.since && old.member.user == c.member.user {
		c.stop = old.stop
	}
	if c.gap != nil || ok.Replaying != nil && (c.origin < old.origin || anew && c.origin < old.sequence) {
		return ok
	}
	c.life, c.origin, c.gap = old.life, old.origin, old.gap
	c.position, c.sequence, c.from = old.position, old.sequence, old.from
	c.behind, c.late, c.ahead, c.open = old.behind, old.late, old.ahead, old.open
	switch {
	case ok.Position == nil:
	case ok.Replaying == nil: // everything up to here has been told
		ok.Position = new(ch.position(ch.placeOf(c.sequence)))
	case !c.behind:
		missed := ch.ring.facts(c.sequence)
		ok.Replaying = &missed
	}
	return ok
}

func await(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// rewind sets the cursor behind the fact with a sequence and returns how many
// facts follow it. The channel's lock is held, and what follows is at hand.
func (c *place) rewind(since uint64) uint64 {
	ring, place := &c.at.ring, c.at.head()
	c.sequence = since
	switch {
	case since > place.Sequence:
		c.ahead = true // another node was faster
		return 0
	case since >= ring.floor:
		c.position = ring.after(since)
		return ring.facts(since)
	}
	c.behind = true
	page := c.at.pages.covering(since)
	missed := page.pending + ring.facts(page.known)
	for _, e := range page.entries {
		if e.sequence > since {
			missed++
		}
	}
	return missed
}

// beginning finds the sequence behind which the request wants to begin.
func (c *Cursor) beginning(ctx context.Context, r wire.Subscribe) (start beginning, err error) {
	ch := c.channel
	if !ch.Durable() {
		return start, nil
	}
	ch.mu.Lock()
	start.life = ch.life
	ch.mu.Unlock()
	if r.Age > 0 || r.Count > 0 {
		done, err := ch.hub.Reading(ctx)
		if err != nil {
			return start, err
		}
		defer done()
	}
	switch {
	case r.Since != nil:
		start.replay = true
		start.Standing, err = ch.judge(ctx, history.Position(*r.Since))
	case r.Age > 0 || r.Count > 0:
		start.replay = true
		start.After, err = ch.past(ctx, r.Age, r.Count)
	}
	return start, err
}

// past is a sequence behind which the facts of an age follow, or the last count of
// them, or, when both are given, no more than the last count of that age.
func (ch *Channel) past(ctx context.Context, age time.Duration, count int) (after uint64, err error) {
	nc, stream, subject := ch.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event()
	if age > 0 {
		after, err = history.Before(ctx, nc, stream, subject, time.Now().Add(-age))
	}
	if count > 0 && err == nil {
		var last uint64
		last, err = history.Tail(ctx, nc, stream, subject, uint64(count))
		after = max(after, last)
	}
	return after, err
}

// judge says how a reader that returns to a position goes on: by what is here, if
// that proves it, or else by the stream.
func (ch *Channel) judge(ctx context.Context, p history.Position) (history.Standing, error) {
	ch.mu.Lock()
	epoch, place, proven := ch.epoch, ch.head(), ch.proves(p)
	ch.mu.Unlock()
	if proven {
		return history.Standing{After: p.Sequence, At: p.At}, nil
	}
	done, err := ch.hub.Reading(ctx)
	if err != nil {
		return history.Standing{}, err
	}
	defer done()
	nc, stream, subject := ch.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event()
	standing, err := history.Resume(ctx, history.On(nc, stream), subject, epoch, p)
	if err == nil && standing.Anew && p.Epoch == epoch {
		return standing, ch.keepUp(ctx)
	}
	if err != nil || standing.Anew || p.Sequence <= place.Sequence {
		return standing, err
	}
	// The reader has seen more than this node: so there may be more.
	newest, err := history.Newest(ctx, nc, stream, subject)
	if err == nil {
		ch.compare(newest, history.Stream{}, false)
	}
	return standing, err
}

// keepUp has the channel take the stream's epoch, if that is another than its own: the
// reader who found out is not told twice that the past is gone.
func (ch *Channel) keepUp(ctx context.Context) error {
	described, err := history.Describe(ctx, ch.hub.Bus.Replay, ch.kind.Stream)
	if err != nil {
		return err
	}
	return ch.adopt(ctx, described.Epoch)
}

// proves says whether the ring alone proves that a reader at a position has read
// this very past, and that all that follows is here.
func (s *state) proves(p history.Position) bool {
	place := s.head()
	if s.starting || p.Epoch != s.epoch || p.Sequence == 0 || p.Sequence < s.ring.floor || p.Sequence > place.Sequence {
		return false
	}
	at, here := s.ring.timeOf(p.Sequence)
	return p.At.IsZero() || here && history.SameTime(at, p.At)
}
