package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// renewalTimeout bounds one attempt to have a stream renewed.
const renewalTimeout = 5 * time.Second

// renewed is the epoch of a stream that has lost what was seen of it: a newer one,
// which whoever declares the stream gives it now, unless it has one. Numbers of another
// past are told in no epoch in which others were. Without a newer one nothing is told:
// it is an error.
func (h *Hub) renewed(ctx context.Context, stream string, seen history.Position) (string, error) {
	described, err := history.Describe(ctx, h.Bus.Replay, stream)
	if err != nil || seen.Epoch == "" || newer(described.Epoch, seen.Epoch) {
		return described.Epoch, err
	}
	claim, err := json.Marshal(subjects.Place(seen))
	if err != nil {
		return "", err
	}
	attempt, cancel := context.WithTimeout(ctx, renewalTimeout)
	defer cancel()
	answer, err := h.Bus.Replay.RequestWithContext(attempt, subjects.Lost(stream), claim)
	if err != nil {
		return "", fmt.Errorf("%s has lost messages, and nobody gives it another epoch: %w", stream, err)
	}
	if len(answer.Data) > 0 {
		return "", fmt.Errorf("%s has lost messages, but is given no other epoch: %s", stream, answer.Data)
	}
	if described, err = history.Describe(ctx, h.Bus.Replay, stream); err == nil && !newer(described.Epoch, seen.Epoch) {
		err = fmt.Errorf("the epoch of %s is %s still", stream, described.Epoch)
	}
	return described.Epoch, err
}

// newer says whether an epoch began after another.
func newer(epoch, than string) bool {
	return subjects.EpochBegan(epoch) > subjects.EpochBegan(than)
}

// lostOf is what a channel has lost that begins anew: from the first fact seen here
// that its stream does not have any more, up to where it was whole.
func (ch *Channel) lostOf(ctx context.Context) (history.Range, error) {
	ch.mu.Lock()
	seen := ch.ring.places()
	lost := history.Range{To: ch.ring.last}
	ch.mu.Unlock()
	kept, gone := 0, len(seen) // what is kept, and what is gone, of those in order
	for kept < gone {
		middle := (kept + gone) / 2
		message, found, err := history.Message(ctx, ch.hub.Bus.Replay, ch.kind.Stream, seen[middle].Sequence)
		if err != nil {
			return lost, err
		}
		if found && history.SameTime(message.Time, seen[middle].At) {
			kept = middle + 1
		} else {
			gone = middle
		}
	}
	lost.From = lost.To
	if gone < len(seen) {
		lost.From = seen[gone].Sequence
	}
	return lost, nil
}

// places are those of the facts in the ring, and of the one before them, in order.
func (r *ring) places() []history.Position {
	places := make([]history.Position, 0, len(r.entries)+1)
	if r.floor > 0 {
		places = append(places, history.Position{Sequence: r.floor, At: r.floorAt})
	}
	for _, e := range r.entries {
		if e.sequence > 0 && !e.hole {
			places = append(places, history.Position{Sequence: e.sequence, At: e.stored})
		}
	}
	return places
}

// lostTo tells a reader that has come to a sequence what is lost.
func (s *state) lostTo(sequence uint64) wire.Gap {
	lost := s.lost
	if lost.To = max(lost.To, sequence); lost.From == 0 { // nobody knows
		lost = history.Range{From: sequence + 1, To: sequence + 1}
	}
	return s.gap(lost, history.Position{})
}

// elsewhere is the epoch in which the channel begins anew, whose stream has another past
// than what was seen here: nobody is told anything of it before the stream has a newer
// one.
func (ch *Channel) elsewhere(ctx context.Context, seen history.Position) (string, error) {
	ch.mu.Lock()
	seen.Epoch = ch.epoch
	ch.mu.Unlock()
	epoch, err := ch.hub.renewed(ctx, ch.kind.Stream, seen)
	if err != nil {
		return "", err
	}
	lost, err := ch.lostOf(ctx)
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.epoch == seen.Epoch { // or it has begun anew meanwhile
		ch.lost = lost
	}
	return epoch, err
}
