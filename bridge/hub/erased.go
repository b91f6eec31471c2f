package hub

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/subjects/history"
)

// extent is what of a stream changes when messages are removed from it.
type extent struct {
	epoch          string
	first, deleted uint64
}

func extentOf(s history.Stream) extent { return extent{s.Epoch, max(s.First, 1), s.Deleted} }

// forgetErased has the channels forget what was removed from their streams since the
// last look: what is erased there is handed to nobody here. Only of a stream that has
// lost something, and for channels that may hold it, the oldest fact kept is asked for;
// and of the stream, which single messages are gone.
func (c *checker) forgetErased(ctx context.Context, streams map[string]seen) error {
	c.mu.Lock()
	changed := make(map[string]seen)
	for name, stream := range streams {
		was, known := c.extents[name]
		if !known {
			was = extent{stream.Epoch, 1, 0}
		}
		if extentOf(stream.Stream) != was {
			changed[name] = stream
		}
	}
	c.mu.Unlock()
	if len(changed) > 0 {
		if err := c.erase(ctx, changed); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, stream := range streams {
		c.extents[name] = extentOf(stream.Stream)
	}
	return nil
}

// holesListed bounds the numbers without a message that a stream is asked for, 8 bytes
// or so each. Of one that has more of them, as those have that keep so many of a
// subject, what was deleted by hand from the middle is not looked for.
const holesListed = 1 << 14

// holes lists the numbers without a message within streams that have lost some.
func (c *checker) holes(ctx context.Context, changed map[string]seen) (map[string][]uint64, error) {
	holes := make(map[string][]uint64)
	for name, stream := range changed {
		if stream.Deleted == 0 || stream.Deleted > holesListed {
			continue
		}
		epoch, deleted, err := history.Deleted(ctx, c.hub.Bus.Replay, name)
		if err != nil {
			return nil, fmt.Errorf("holes of %s: %w", name, err)
		}
		if epoch == stream.Epoch {
			holes[name] = deleted
		}
	}
	return holes, nil
}

func (c *checker) erase(ctx context.Context, changed map[string]seen) error {
	holes, err := c.holes(ctx, changed)
	if err != nil {
		return err
	}
	group, all := errgroup.WithContext(ctx)
	group.SetLimit(checksAtOnce)
	for _, ch := range c.hub.watched() {
		stream, found := changed[ch.kind.Stream]
		if !found || !ch.Durable() || !ch.holdsFacts() {
			continue
		}
		group.Go(func() error {
			gone := stream.Last
			oldest, found, err := history.NextMessage(all, c.hub.Bus.Replay, ch.kind.Stream, ch.Name.Event(), 0)
			if err != nil {
				return fmt.Errorf("oldest of %s: %w", ch.Name, err)
			}
			if found {
				gone = oldest.Sequence - 1
			}
			ch.forgetUpTo(gone)
			ch.forgetThose(holes[ch.kind.Stream])
			return nil
		})
	}
	return group.Wait()
}

// holdsFacts says whether the channel holds facts, or reads some.
func (ch *Channel) holdsFacts() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.ring.floor < ch.ring.last || len(ch.held)+len(ch.pages.kept)+len(ch.loading) > 0
}

// forgetUpTo drops the facts up to a sequence, see [state.erase].
func (ch *Channel) forgetUpTo(sequence uint64) {
	ch.mu.Lock()
	defer ch.unlock()
	ch.erase(sequence)
}

// forgetThose drops facts that are gone from between others; the sequences rise. In the
// ring a gap takes the place of each.
func (ch *Channel) forgetThose(gone []uint64) {
	isGone := func(e *entry) bool {
		_, found := slices.BinarySearch(gone, e.sequence)
		return found && e.sequence > 0 && !e.hole
	}
	ch.mu.Lock()
	defer ch.unlock()
	if len(gone) == 0 {
		return
	}
	ch.erasures++
	ch.held = slices.DeleteFunc(ch.held, func(fact heldFact) bool { return isGone(fact.entry) })
	ch.pages.kept = slices.DeleteFunc(ch.pages.kept, func(p *page) bool { return slices.ContainsFunc(p.entries, isGone) })
	for i, e := range ch.ring.entries {
		if isGone(e) {
			at := history.Position{Sequence: e.sequence, At: e.stored}
			ch.ring.replace(i, gapEntry(ch.gap(history.Range{From: e.sequence, To: e.sequence}, at)))
			ch.chunks = nil
		}
	}
}
