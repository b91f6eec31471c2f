package bridge

import (
	"context"
	"fmt"
	"strings"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
)

// leftovers has the entries wait for their sessions that a bridge of our name held,
// which ended without a goodbye: our lease would keep them for ever.
func (b *Bridge) leftovers(ctx context.Context) error {
	nc, filter := b.hub.bus.Replay, seat.Keys+subjects.PresenceKey(b.node, ">")
	last, err := history.Last(ctx, nc, seat.Stream, filter)
	if err != nil {
		return fmt.Errorf("leftovers: %w", err)
	}
	_, err = history.Read(ctx, nc, seat.Stream, filter, 0, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			key := strings.TrimPrefix(fact.Subject, seat.Keys)
			seen, _, ok := see(key, fact.Sequence, fact.Header, fact.Data, 0)
			if !ok || seen.entry.Left || seen.entry.Waits() {
				continue
			}
			member := seen.entry.Value
			member.Grace = seat.GraceOf(b.limits.Grace)
			value, err := member.encode()
			if err != nil {
				return err
			}
			b.release(left{key, seen.entry.Generation, value, fact.Sequence}, false)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leftovers: %w", err)
	}
	return nil
}
