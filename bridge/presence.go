package bridge

import (
	"context"
	"encoding/json"
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
)

const (
	presenceStream = "KV_" + subjects.BucketPresence
	presenceKeys   = "$KV." + subjects.BucketPresence + "."
	// tellInterval is how often changes of presence are told to browsers, so that
	// a thousand joins into one channel are ten frames and not a thousand.
	tellInterval = 100 * time.Millisecond
)

// muster makes sure that the channel knows who is on it.
func (ch *channel) muster(ctx context.Context) error {
	ch.mu.Lock()
	if ch.roster == nil {
		ch.roster, ch.mustered = newRoster(ch.hub.leases.alive), make(chan struct{})
		// The hub's task, not the first asker's: others may wait for it.
		ch.hub.start(ch.callRoll)
	}
	mustered := ch.mustered
	ch.mu.Unlock()
	select {
	case <-mustered:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// callRoll subscribes to the changes of presence and then reads who is there.
func (ch *channel) callRoll(ctx context.Context) {
	err := ch.hub.subscribe(ch, subjects.FeedPresence+ch.name.Everyone())
	if err == nil {
		err = ch.reload(ctx)
	}
	for err != nil && ctx.Err() == nil {
		ch.hub.log.Error("presence", "channel", ch.name.String(), "error", err)
		pause(ctx, retryPause)
		err = ch.reload(ctx)
	}
	ch.tell()
	close(ch.mustered)
}

// reload merges a snapshot of the bucket into the roster: at first, and whenever
// changes may have been missed.
func (ch *channel) reload(ctx context.Context) error {
	ch.reloads.Lock()
	defer ch.reloads.Unlock()
	ch.mu.Lock()
	if ch.roster == nil {
		ch.mu.Unlock()
		return nil
	}
	ch.roster.begin()
	ch.mu.Unlock()

	nc, filter := ch.hub.bus.Replay, presenceKeys+ch.name.Everyone()
	last, err := history.Last(ctx, nc, presenceStream, filter)
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", ch.name, err)
	}
	found := make(map[string]bool)
	var snapshot []sighting
	_, err = history.Read(ctx, nc, presenceStream, filter, 0, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			seen := sighting{strings.TrimPrefix(fact.Subject, presenceKeys), fact.Sequence, recordOf(fact.Header, fact.Data)}
			found[seen.key] = true
			if !ch.hub.onPresence(ch.name, seen.key, seen.sequence, seen.record) {
				snapshot = append(snapshot, seen)
			}
		}
		return nil
	})
	if err == nil {
		err = ch.seek(ctx, last, found)
	}
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", ch.name, err)
	}
	// All at once: meanwhile changes are told as they come.
	ch.mu.Lock()
	for _, seen := range snapshot {
		ch.roster.apply(seen.key, seen.sequence, seen.record)
	}
	ch.roster.finish(last, found)
	ch.mu.Unlock()
	ch.hub.stir(ch)
	return nil
}

// sighting is a key of the bucket as a snapshot has it.
type sighting struct {
	key      string
	sequence uint64
	record   *record // nil is a departure
}

// seek asks the leader for each key that a snapshot lacks. One that was written
// again while the snapshot was read is in none of its pages, and is not gone:
// its change is on the way. Nor is one that a session here outlives.
func (ch *channel) seek(ctx context.Context, upTo uint64, found map[string]bool) error {
	ch.mu.Lock()
	lacking := ch.roster.lacking(upTo, found)
	ch.mu.Unlock()
	for _, key := range lacking {
		newest, err := history.Last(ctx, ch.hub.bus.Replay, presenceStream, presenceKeys+key)
		if err != nil {
			return err
		}
		found[key] = newest > upTo || ch.hub.onPresence(ch.name, key, upTo, nil)
	}
	return nil
}

// presence takes a change of the bucket.
func (h *hub) presence(key string, msg *nats.Msg) {
	name, _, _, err := subjects.ParsePresence(key)
	if err != nil {
		return
	}
	ch := h.find(tail(name))
	if ch == nil {
		return
	}
	sequence, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return
	}
	record := recordOf(msg.Header, msg.Data)
	if msg.Header.Get(headerMarker) == markerOfAge {
		h.metrics.expiries.Inc()
	}
	ch.mu.Lock()
	if ch.roster != nil {
		ch.roster.change(key, sequence, record)
	}
	ch.mu.Unlock()
	h.stir(ch)
	h.onPresence(name, key, sequence, record)
}

// recordOf reads a value of the bucket; nil is a departure: a removal, the marker
// of an expired key, or a value that nobody of us wrote.
func recordOf(header nats.Header, data []byte) *record {
	if header.Get("KV-Operation") != "" || header.Get(headerMarker) != "" || len(data) == 0 {
		return nil
	}
	value, err := schemas.Canonical("", data, 0) // what a member says is told as it stands here
	var r record
	if err != nil || json.Unmarshal(value, &r) != nil {
		return nil
	}
	return &r
}

// A marker stands where a key was, and says what ended it.
const (
	headerMarker = "Nats-Marker-Reason"
	markerOfAge  = "MaxAge"
)

// members counts those whom browsers were told of, on all channels.
func (h *hub) members() int {
	all := 0
	for _, ch := range h.watched() {
		ch.mu.Lock()
		if ch.roster != nil {
			all += len(ch.roster.told)
		}
		ch.mu.Unlock()
	}
	return all
}

// stir notes that a channel's roster has changed.
func (h *hub) stir(ch *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stirred[ch] = struct{}{}
}

// tellPresence tells browsers what changed, a few times a second.
func (h *hub) tellPresence(ctx context.Context) {
	every(ctx, tellInterval, func() {
		h.mu.Lock()
		stirred := slices.Collect(maps.Keys(h.stirred))
		clear(h.stirred)
		h.mu.Unlock()
		for _, ch := range stirred {
			ch.tell()
		}
	})
}

// tell puts the changes of presence since the last time into the ring.
func (ch *channel) tell() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.roster == nil || !ch.roster.known {
		return
	}
	diff, news := ch.roster.settle(ch.name.String())
	if !news {
		ch.dirty() // somebody may wait to be told who is here
		return
	}
	ch.hub.metrics.joins.Add(float64(len(diff.Joins)))
	ch.hub.metrics.leaves.Add(float64(len(diff.Leaves)))
	ch.append(&entry{notice: diff, presence: true, size: overhead * (1 + len(diff.Joins) + len(diff.Updates) + len(diff.Leaves))})
}

// review looks again at who was there through a node.
func (h *hub) review(node string) {
	for _, ch := range h.watched() {
		ch.mu.Lock()
		if ch.roster != nil {
			ch.roster.review(node)
		}
		ch.mu.Unlock()
		h.stir(ch)
	}
}

// members lists who is on a channel, as browsers see it.
func (ch *channel) members() []wire.Member {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.roster.list()
}
