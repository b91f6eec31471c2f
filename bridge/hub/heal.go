package hub

import (
	"context"
	"errors"

	"github.com/latido/latido/subjects/history"
)

// readMissing reads what is missing until the channel is whole, begins anew, or
// ctx ends.
func (ch *Channel) readMissing(ctx context.Context, life int) {
	for ctx.Err() == nil {
		ch.mu.Lock()
		if ch.life != life {
			ch.mu.Unlock()
			return
		}
		m := ch.mend()
		ch.unlock()
		if err := ch.carryThrough(ctx, m); err != nil && ctx.Err() == nil {
			ch.hub.log.Error("heal", "channel", ch.label, "error", err)
			Pause(ctx, RetryPause)
		}
		if m.whole {
			return
		}
	}
}

// carryThrough answers what a reading of the stream has to know, until it has ended.
func (ch *Channel) carryThrough(ctx context.Context, r reading) error {
	for {
		q := r.next()
		if q.asking == askNothing {
			return nil
		}
		a, err := ch.answer(ctx, q)
		ch.mu.Lock()
		if err != nil {
			r.fail(&ch.state)
		} else {
			r.step(&ch.state, a)
		}
		ch.unlock()
		if err != nil {
			return err
		}
	}
}

// answer asks the stream.
func (ch *Channel) answer(ctx context.Context, q question) (a answer, err error) {
	nc, stream, subject := ch.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event()
	switch q.asking {
	case askNothing:
	case askPage:
		a.reached, err = history.Read(ctx, nc, stream, subject, q.at.Sequence, q.upTo, func(p history.Page) error {
			a.pending = p.Pending
			for _, fact := range p.Facts {
				a.entries = append(a.entries, ch.hub.factEntry(ch.Name, ch.label, fact))
			}
			return errEnough
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
	case askStanding:
		a.standing, err = history.Judge(ctx, history.On(nc, stream), subject, q.at)
	case askPreceding:
		a.place, err = history.Preceding(ctx, history.On(nc, stream), q.at.Sequence, q.at.At)
	case askEpoch:
		a.epoch, err = ch.elsewhere(ctx, q.at)
	}
	return a, err
}

// adopt takes a new epoch of the channel's stream. When the stream is the same
// and the newest message known is still there, readers miss at most what nobody
// can give them; otherwise they begin anew.
func (ch *Channel) adopt(ctx context.Context, epoch string) error {
	ch.mu.Lock()
	old, place, life := ch.epoch, ch.head(), ch.life
	ch.mu.Unlock()
	if old == epoch {
		return nil
	}
	standing, err := history.Resume(ctx, history.On(ch.hub.Bus.Replay, ch.kind.Stream), ch.Name.Event(), epoch, place)
	if err != nil {
		return err
	}
	if standing.Anew = standing.Anew || !newer(epoch, old); standing.Anew {
		if epoch, err = ch.elsewhere(ctx, place); err != nil {
			return err
		}
	}
	ch.mu.Lock()
	defer ch.unlock()
	ch.rename(epoch, life, standing)
	return nil
}

// doubt tells a gap if facts may be missing behind the newest one here, and has the
// channel begin anew if the stream's past is not the one seen here.
func (ch *Channel) doubt(ctx context.Context) error {
	ch.mu.Lock()
	m := ch.look()
	ch.mu.Unlock()
	err := ch.carryThrough(ctx, m)
	if err != nil { // until it is known what comes is held back
		ch.mu.Lock()
		defer ch.unlock()
		if ch.suspect = true; !ch.healing {
			ch.heal()
		}
	}
	return err
}

// begin has every cursor start over, and asks where the channel begins now. The lock
// is held.
func (ch *Channel) begin() {
	if ch.anew == nil {
		ch.anew = make(chan struct{})
	}
	ch.loading = nil
	for _, cursors := range ch.cursors {
		for _, c := range cursors {
			c.startOver()
		}
	}
	ch.hub.checker.reach(ch.kind.Stream, 0)
	next := ch.life
	ch.hub.Start(func(ctx context.Context) { ch.beginAgain(ctx, next) })
}

// begun has every cursor go on where the channel begins now. The lock is held.
func (ch *Channel) begun() {
	close(ch.anew)
	ch.anew = nil
	for _, cursors := range ch.cursors {
		for _, c := range cursors {
			c.restart()
		}
	}
	if ch.kind.Read.ByMembership() { // the facts by which they belong here may be gone, too
		ch.hub.Start(func(context.Context) { ch.hub.onMember(ch.Name, everyone) })
	}
}

// startOver has a cursor begin anew with its channel.
func (c *place) startOver() {
	s := c.at
	if c.gap == nil { // or else one is to be told already, and of the same
		gap := s.lostTo(c.sequence)
		c.gap = &gap
	}
	c.life, c.behind, c.ahead, c.open, c.stop = s.life, true, false, false, 0
	c.position, c.from = s.ring.head(), s.ring.head()
	c.restart()
}

// restart puts a cursor that begins anew behind the oldest fact that is kept.
func (c *place) restart() {
	oldest := c.at.oldest
	c.sequence, c.origin = oldest.Sequence, oldest.Sequence
	if c.gap != nil {
		c.gap.To, c.gap.Position = max(c.gap.To, oldest.Sequence), c.at.position(oldest)
	}
}

// beginAgain finds where the channel begins now, and its new watermark.
func (ch *Channel) beginAgain(ctx context.Context, life int) {
	for {
		oldest, err := history.Oldest(ctx, history.On(ch.hub.Bus.Live, ch.kind.Stream), ch.Name.Event())
		var watermark history.Position
		var fact bool
		if err == nil {
			watermark, fact, err = history.Watermark(ctx, history.On(ch.hub.Bus.Live, ch.kind.Stream), ch.Name.Event())
		}
		if err == nil {
			ch.mu.Lock()
			defer ch.unlock()
			if ch.life == life {
				ch.started(oldest, watermark, fact)
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		ch.hub.log.Warn("begin anew", "channel", ch.label, "error", err)
		if !Pause(ctx, RetryPause) {
			return
		}
	}
}
