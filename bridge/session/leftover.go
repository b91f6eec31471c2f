package session

import (
	"context"
	"fmt"
	"strings"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
)

// Leftovers has the entries wait for their sessions that a bridge of our name held,
// which ended without a goodbye: our lease would keep them for ever.
func (n *Node) Leftovers(ctx context.Context) error {
	nc, filter := n.Hub.Bus.Replay, seat.Keys+subjects.PresenceKey(n.name, ">")
	last, err := history.Last(ctx, nc, seat.Stream, filter)
	if err != nil {
		return fmt.Errorf("leftovers: %w", err)
	}
	_, err = history.Read(ctx, nc, seat.Stream, filter, 0, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			key := strings.TrimPrefix(fact.Subject, seat.Keys)
			seen, _, ok := hub.ReadEntry(key, fact.Sequence, fact.Header, fact.Data, 0)
			if !ok || seen.Entry.Left || seen.Entry.Waits() {
				continue
			}
			member := seen.Entry.Value
			member.Grace = seat.GraceOf(n.Limits.Grace)
			value, err := member.Encode()
			if err != nil {
				return err
			}
			n.releaseEntry(left{key, seen.Entry.Generation, value, fact.Sequence}, false)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leftovers: %w", err)
	}
	return nil
}
