package hub

import (
	"context"
	"errors"

	"github.com/latido/latido/subjects/history"
)

// errAnew ends a read of a past that is gone.
var errAnew = errors.New("the channel begins anew")

// readMissing reads what is missing until the channel is whole, begins anew, or
// ctx ends.
func (ch *Channel) readMissing(ctx context.Context, life int) {
	for {
		switch whole, err := ch.readUp(ctx, life); {
		case ctx.Err() != nil || whole || errors.Is(err, errAnew):
			return
		case err != nil:
			ch.hub.log.Error("heal", "channel", ch.label, "error", err)
			if !Pause(ctx, RetryPause) {
				return
			}
		}
	}
}

// readUp reads from the newest fact here up to the newest one known to exist.
// Each page is told once it is known that nothing before it is gone, or a gap.
func (ch *Channel) readUp(ctx context.Context, life int) (whole bool, err error) {
	ch.mu.Lock()
	from, target, suspect := ch.head(), ch.target, ch.suspect
	ch.suspect = false
	ch.mu.Unlock()
	if suspect {
		if err := ch.extend(ctx, life, from, nil); err != nil {
			return false, err
		}
	}
	reached, err := history.Read(ctx, ch.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event(), from.Sequence, target, func(p history.Page) error {
		entries := make([]*entry, len(p.Facts))
		for i, fact := range p.Facts {
			entries[i] = ch.hub.factEntry(ch.Name, ch.label, fact)
		}
		if err := ch.extend(ctx, life, from, entries); err != nil {
			return err
		}
		newest := p.Facts[len(p.Facts)-1]
		from = history.Position{Sequence: newest.Sequence, At: newest.Time}
		return nil
	})
	if err == nil && reached > from.Sequence { // its facts were removed meanwhile
		err = ch.extend(ctx, life, from, nil)
	}
	if err != nil {
		return false, err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.life != life {
		return false, errAnew
	}
	ch.ring.reach(history.Position{Sequence: reached, At: from.At}) // of what was there last
	return ch.release(), nil
}

// extend appends facts that were read after a place to the tail, behind a gap
// when some before them are gone.
func (ch *Channel) extend(ctx context.Context, life int, from history.Position, entries []*entry) error {
	standing, err := history.Judge(ctx, ch.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event(), from)
	if err != nil {
		return err
	}
	if standing.Anew {
		return ch.beginElsewhere(ctx, life)
	}
	missing, after := standing.Missing, standing.Place("")
	if missing != nil && len(entries) > 0 && entries[0].sequence <= missing.To { // removed since it was read
		after, err = history.Preceding(ctx, ch.hub.Bus.Replay, ch.kind.Stream, entries[0].sequence, entries[0].stored)
		if err != nil {
			return err
		}
		missing.To = after.Sequence
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.life != life {
		return errAnew
	}
	if missing != nil && missing.To > ch.ring.last && missing.From <= missing.To {
		ch.append(gapEntry(ch.gap(*missing, after)))
	}
	for _, e := range entries {
		if e.sequence > ch.ring.last {
			ch.append(e)
		}
	}
	return nil
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
	standing, err := history.Resume(ctx, ch.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event(), epoch, place)
	if err != nil {
		return err
	}
	if standing.Anew {
		ch.begin(epoch, life)
		return nil
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.life != life || ch.epoch == epoch {
		return nil
	}
	ch.epoch = epoch
	if ch.told { // of the break that the epoch stands for
		ch.told = false
		return nil
	}
	gap := gapEntry(ch.gap(*standing.Missing, ch.head()))
	gap.sequence = 0 // it has no place among the facts
	ch.append(gap)
	return nil
}

// doubt tells a gap if facts may be missing behind the newest one here, and has the
// channel begin anew if the stream's past is not the one seen here.
func (ch *Channel) doubt(ctx context.Context) error {
	ch.mu.Lock()
	place, life := ch.head(), ch.life
	ch.mu.Unlock()
	if err := ch.extend(ctx, life, place, nil); !errors.Is(err, errAnew) {
		return err
	}
	return nil
}

// beginElsewhere begins anew, under the epoch that the stream has now.
func (ch *Channel) beginElsewhere(ctx context.Context, life int) error {
	described, err := history.Describe(ctx, ch.hub.Bus.Replay, ch.kind.Stream)
	if err != nil {
		return err
	}
	ch.begin(described.Epoch, life)
	return errAnew
}

// begin starts the channel over on a stream whose past is another, whether its
// epoch says so or not: every cursor is told, and goes on with the oldest fact kept.
// Until the new watermark is known nothing is told and nobody is placed.
func (ch *Channel) begin(epoch string, life int) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.life != life {
		return // it has begun anew meanwhile
	}
	ch.life++
	ch.told = epoch == ch.epoch
	ch.epoch = epoch
	if ch.anew == nil {
		ch.anew = make(chan struct{})
	}
	ch.target, ch.suspect, ch.healing, ch.held = 0, false, true, nil
	ch.ring.reset(history.Position{}, false)
	ch.pages, ch.chunks = pages{}, nil
	for _, cursors := range ch.cursors {
		for _, c := range cursors {
			c.startOver()
		}
	}
	ch.hub.checker.reach(ch.kind.Stream, 0)
	next := ch.life
	ch.hub.Start(func(ctx context.Context) { ch.beginAgain(ctx, next) })
}

// startOver has a cursor begin anew with its channel, whose lock is held.
func (c *Cursor) startOver() {
	ch := c.channel
	if c.gap == nil { // or else one is to be told already, and of the same
		gap := ch.gap(history.Range{From: c.sequence + 1, To: c.sequence + 1}, history.Position{})
		c.gap = &gap
	}
	c.life, c.behind, c.ahead, c.open, c.stop = ch.life, true, false, false, 0
	c.position, c.from = ch.ring.head(), ch.ring.head()
	c.restart()
}

// restart puts a cursor that begins anew behind the oldest fact that is kept.
func (c *Cursor) restart() {
	oldest := c.channel.oldest
	c.sequence, c.origin = oldest.Sequence, oldest.Sequence
	if c.gap != nil {
		c.gap.To, c.gap.Position = max(c.gap.To, oldest.Sequence), c.channel.position(oldest)
	}
}

// beginAgain finds where the channel begins now, and its new watermark.
func (ch *Channel) beginAgain(ctx context.Context, life int) {
	for {
		oldest, err := history.Oldest(ctx, ch.hub.Bus.Live, ch.kind.Stream, ch.Name.Event())
		var watermark history.Position
		var fact bool
		if err == nil {
			watermark, fact, err = history.Watermark(ctx, ch.hub.Bus.Live, ch.kind.Stream, ch.Name.Event())
		}
		if err == nil {
			ch.mu.Lock()
			defer ch.mu.Unlock()
			if ch.life == life {
				close(ch.anew)
				ch.anew = nil
				ch.beginAt(watermark, fact)
				if ch.oldest = oldest; watermark.Sequence < oldest.Sequence {
					ch.oldest = watermark
				}
				for _, cursors := range ch.cursors {
					for _, c := range cursors {
						c.restart()
					}
				}
				ch.markDirty()
				if ch.kind.Read.ByMembership() { // the facts by which they belong here may be gone, too
					ch.hub.Start(func(context.Context) { ch.hub.onMember(ch.Name, everyone) })
				}
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
