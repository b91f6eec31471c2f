package hub

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
)

// presenceInterval is how often changes of presence are told to browsers, so that a
// thousand joins into one channel are ten frames and not a thousand.
const presenceInterval = 100 * time.Millisecond

// LoadPresence makes sure that the channel knows who is on it.
func (ch *Channel) LoadPresence(ctx context.Context) error {
	ch.mu.Lock()
	if ch.presence == nil {
		ch.presence, ch.presenceLoaded = newPresenceSet(ch.hub.Leases), make(chan struct{})
		// The hub's task, not the first asker's: others may wait for it.
		ch.hub.Start(ch.loadPresence)
	}
	loaded := ch.presenceLoaded
	ch.mu.Unlock()
	select {
	case <-loaded:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// loadPresence subscribes to the changes of presence and then reads who is there.
func (ch *Channel) loadPresence(ctx context.Context) {
	err := ch.hub.subscribe(ch, subjects.FeedPresence+ch.Name.Present())
	if err == nil {
		err = ch.Reload(ctx)
	}
	for err != nil && ctx.Err() == nil {
		ch.hub.log.Error("presence", "channel", ch.Name.String(), "error", err)
		Pause(ctx, RetryPause)
		err = ch.Reload(ctx)
	}
	ch.flushPresence()
	close(ch.presenceLoaded)
}

// Reload merges a snapshot of the bucket into the presence set: at first, and whenever
// changes may have been missed.
func (ch *Channel) Reload(ctx context.Context) error {
	ch.reloads.Lock()
	defer ch.reloads.Unlock()
	ch.mu.Lock()
	if ch.presence == nil {
		ch.mu.Unlock()
		return nil
	}
	ch.presence.begin()
	ch.mu.Unlock()

	nc, filter := ch.hub.Bus.Replay, seat.Keys+ch.Name.Present()
	last, err := history.Last(ctx, nc, seat.Stream, filter)
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", ch.Name, err)
	}
	found := make(map[string]bool)
	var snapshot []PresenceChange
	_, err = history.Read(ctx, nc, seat.Stream, filter, 0, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			key := strings.TrimPrefix(fact.Subject, seat.Keys)
			seen, _, ok := ReadEntry(key, fact.Sequence, fact.Header, fact.Data, ch.hub.Leases.Since(fact.Time))
			if !ok {
				continue
			}
			found[key] = true
			if !ch.hub.onPresence(ch.Name, seen) {
				snapshot = append(snapshot, seen)
			}
		}
		return nil
	})
	if err == nil {
		err = ch.seek(ctx, last, found)
	}
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", ch.Name, err)
	}
	// All at once: meanwhile changes are told as they come.
	ch.mu.Lock()
	for _, seen := range snapshot {
		ch.presence.apply(seen)
	}
	ch.presence.finish(last, found)
	ch.mu.Unlock()
	ch.hub.markChanged(ch)
	return nil
}

// ReadEntry reads an entry that was written a while ago. It is not ok when it is none, or
// of whom it is not to be believed: cards are the presence service's, and nothing
// else is.
func ReadEntry(key string, sequence uint64, header nats.Header, data []byte, age time.Duration) (s PresenceChange, on subjects.Channel, ok bool) {
	node, name, err := subjects.ParsePresenceKey(key)
	if err != nil {
		return s, on, false
	}
	if on, _, _, err = subjects.ParseSeat(name); err != nil {
		return s, on, false
	}
	if _, card := subjects.ReservedTopic(on); card != subjects.IsService(node) {
		return s, on, false
	}
	value, err := schemas.CanonicalBody(data) // what a member says is told as it stands here
	if err != nil {
		value = nil // and what nobody can read says nothing
	}
	return PresenceChange{name, seat.Read[Record](node, sequence, header, value, age)}, on, true
}

// seek asks the leader for each key that a snapshot lacks. One that was written
// again while the snapshot was read is in none of its pages, and is not gone:
// its change is on the way. Nor is one that a session here outlives.
func (ch *Channel) seek(ctx context.Context, upTo uint64, found map[string]bool) error {
	ch.mu.Lock()
	lacking := ch.presence.lacking(upTo, found)
	ch.mu.Unlock()
	for _, key := range lacking {
		newest, err := history.Last(ctx, ch.hub.Bus.Replay, seat.Stream, seat.Keys+key)
		if err != nil {
			return err
		}
		gone, _, ok := ReadEntry(key, upTo, nil, nil, 0)
		found[key] = newest > upTo || ok && ch.hub.onPresence(ch.Name, gone)
	}
	return nil
}

// presence takes a change of the bucket.
func (h *Hub) presence(key string, msg *nats.Msg) {
	sequence, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return
	}
	seen, name, ok := ReadEntry(key, sequence, msg.Header, msg.Data, 0)
	if !ok {
		return
	}
	ch := h.find(tail(name))
	if ch == nil {
		return
	}
	ch.mu.Lock()
	if ch.presence != nil {
		ch.presence.change(seen)
	}
	ch.mu.Unlock()
	h.markChanged(ch)
	h.onPresence(name, seen)
}

// members counts those whom browsers were told of, on all channels.
func (h *Hub) members() int {
	all := 0
	for _, ch := range h.watched() {
		ch.mu.Lock()
		if ch.presence != nil {
			all += len(ch.presence.told)
		}
		ch.mu.Unlock()
	}
	return all
}

// markChanged notes that a channel's presence has changed.
func (h *Hub) markChanged(ch *Channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.changed[ch] = struct{}{}
}

// flushPresence tells browsers what changed, a few times a second.
func (h *Hub) flushPresence(ctx context.Context) {
	Every(ctx, presenceInterval, func() {
		h.expire()
		h.mu.Lock()
		stirred := slices.Collect(maps.Keys(h.changed))
		clear(h.changed)
		h.mu.Unlock()
		for _, ch := range stirred {
			if ch.flushPresence() {
				h.mu.Lock()
				h.waiting[ch] = struct{}{}
				h.mu.Unlock()
			}
		}
	})
}

// expire has those leave who were waited for in vain by a node that is gone. Channels
// on which somebody is waited for are looked at by it until that is over.
func (h *Hub) expire() {
	h.mu.Lock()
	waiting := slices.Collect(maps.Keys(h.waiting))
	h.mu.Unlock()
	for _, ch := range waiting {
		ch.mu.Lock()
		ch.presence.end(seat.Entry[Record].Ended)
		news, over := len(ch.presence.changed) > 0, len(ch.presence.waiting) == 0
		ch.mu.Unlock()
		h.mu.Lock()
		if news {
			h.changed[ch] = struct{}{}
		}
		if over {
			delete(h.waiting, ch)
		}
		h.mu.Unlock()
	}
}

// flushPresence puts the changes of presence since the last time into the ring, and says
// whether somebody may come back.
func (ch *Channel) flushPresence() (waiting bool) {
	ch.mu.Lock()
	defer ch.unlock()
	if ch.presence == nil || !ch.presence.known {
		return false
	}
	waiting = len(ch.presence.waiting) > 0
	ch.hub.metrics.expiries.Add(float64(ch.presence.expired))
	ch.presence.expired = 0
	diff, news := ch.presence.diff(ch.Name.String())
	if !news {
		ch.markDirty() // somebody may wait to be told who is here
		return waiting
	}
	ch.hub.metrics.joins.Add(float64(len(diff.Joins)))
	ch.hub.metrics.leaves.Add(float64(len(diff.Leaves)))
	ch.append(&entry{notice: diff, presence: true, size: overhead * (1 + len(diff.Joins) + 2*len(diff.Updates) + len(diff.Leaves))})
	return waiting
}

// Review looks again at who was there through a node.
func (h *Hub) Review(node string) {
	for _, ch := range h.watched() {
		ch.mu.Lock()
		if ch.presence != nil {
			ch.presence.review(node)
		}
		ch.mu.Unlock()
		h.markChanged(ch)
	}
}

// Members lists who is on a channel, as browsers see it.
func (ch *Channel) Members() []wire.Member {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.presence.end(seat.Entry[Record].Overdue)
	return ch.presence.here()
}

// Count is how many are on the channel, told or not yet.
func (ch *Channel) Count() int {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.presence.end(seat.Entry[Record].Overdue)
	return ch.presence.count()
}

// SessionsOf are the references of the sessions of a node's by which a user, or everyone,
// is on the channel.
func (ch *Channel) SessionsOf(node, user string) []string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.presence == nil {
		return nil
	}
	return ch.presence.refs(node, user)
}

// ShownIn is by which entry somebody sits on the channel, if anybody does.
func (ch *Channel) ShownIn(name string) (shown seat.Entry[Record], ok bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.presence.seats[name].Shown(ch.presence.nodes.Here)
}
