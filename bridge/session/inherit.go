package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
)

// leastWait is the shortest wait that is worth writing: others may read it only when
// they have seen its end.
const leastWait = time.Second

// Inherit settles the entries that a bridge of our name held, which ended without a
// goodbye: our lease would keep them for ever, and bring back whose lease has run
// out. They wait for their sessions as long as that lease kept them, and no longer
// than a grace; after it they are left. It returns when that is stored. The waits that
// stand already are ours to end.
func (n *Node) Inherit(ctx context.Context, until time.Time) error {
	nc, filter := n.Hub.Bus.Replay, seat.Keys+subjects.PresenceKey(n.name, ">")
	last, err := history.Last(ctx, nc, seat.Stream, filter)
	var bucket history.Stream
	if err == nil {
		bucket, err = history.Describe(ctx, nc, seat.Stream)
	}
	if err == nil {
		_, err = history.Read(ctx, nc, seat.Stream, filter, 0, last, func(p history.Page) error {
			n.inheritWaits(p.Facts, bucket.Now)
			return n.inherit(ctx, p.Facts, min(time.Until(until), n.Limits.Grace))
		})
	}
	if err != nil {
		return fmt.Errorf("what the bridge before this one left: %w", err)
	}
	return nil
}

// inheritWaits takes over the waits of a page, by the server's time.
func (n *Node) inheritWaits(page []history.Fact, now time.Time) {
	for _, fact := range page {
		key := strings.TrimPrefix(fact.Subject, seat.Keys)
		seen, _, ok := hub.ReadEntry(key, fact.Sequence, fact.Header, fact.Data, 0)
		if ok && seen.Entry.Waits() {
			n.waits.add(wait{key: key, generation: seen.Entry.Generation, revision: fact.Sequence}, seen.Entry.Until.Add(-now.Sub(fact.Time)))
		}
	}
}

// inherit has those entries of a page that are held wait for a while, or leave.
func (n *Node) inherit(ctx context.Context, page []history.Fact, rest time.Duration) error {
	answers := make(chan error, len(page))
	asked := 0
	for _, fact := range page {
		key := strings.TrimPrefix(fact.Subject, seat.Keys)
		seen, _, ok := hub.ReadEntry(key, fact.Sequence, fact.Header, fact.Data, 0)
		if !ok || !seen.Entry.Holds() {
			continue
		}
		msg, wait := seat.Leave(key, n.Limits.Grace), wait{key: key, generation: seen.Entry.Generation}
		until := time.Time{}
		record := seen.Entry.Value
		record.Grace = rest
		if value, err := record.Encode(); err == nil && rest >= leastWait {
			msg, until = seat.Wait(key, value, fact.Sequence, rest), time.Now().Add(rest)
		}
		seat.ExpectRevision(msg, fact.Sequence)
		seat.SetGeneration(msg, seen.Entry.Generation)
		asked++
		n.requester.send(msg, func(reply *nats.Msg, err error) {
			if err == nil {
				var ack jetstream.PubAck
				ack, err = acknowledged(reply)
				if wait.revision = ack.Sequence; err == nil && !until.IsZero() {
					n.waits.add(wait, until)
				}
			}
			answers <- err
		})
	}
	for range asked {
		select {
		case err := <-answers:
			if refused, is := errors.AsType[*jetstream.APIError](err); is && moved(refused) {
				continue // somebody has settled it
			}
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
