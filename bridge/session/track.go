package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology"
)

// refreshPresence is how long an entry stands before it is written again, far
// from the age at which the bucket drops it.
const refreshPresence = topology.PresenceAge / 3

// track is one entry of presence that this node holds for a session.
type track struct {
	name       subjects.Channel
	seat       string
	key        string       // of the seat, below this node
	generation uint64       // of the session
	channel    *hub.Channel // its presence set says when the entry is lost
	let        sync.Once    // of the channel

	restoring atomic.Bool // one at a time

	mu       sync.Mutex // guards what follows
	member   wire.Member
	revision uint64 // of the bucket, 0 until it was written
	written  time.Time
}

// release lets go of the channel, once: a session may end while a request of its
// own works on the entry, and then both undo it.
func (t *track) release(h *hub.Hub) { t.let.Do(func() { h.Release(t.channel) }) }

// track makes the session present on a channel, or changes what it says there.
func (s *session) track(ctx context.Context, r wire.Track) error {
	name, kind, err := s.node.Resolve(r.Channel)
	if err != nil {
		return err
	}
	if len(r.Meta) > s.node.Limits.Meta {
		return schemas.Refuse(schemas.MetaTooLarge, "meta has at most %d bytes", s.node.Limits.Meta)
	}
	id, err := s.whoOn(name)
	if err != nil {
		return err
	}
	if err := mayAppear(id, name, kind); err != nil {
		return err
	}
	if s.isDeviceOn(name) {
		return errForbidden
	}
	if err := s.node.checkMeta(kind, r.Meta); err != nil {
		return err
	}
	place, err := coarsenLocation(r.Place)
	if err != nil {
		return err
	}
	if _, err := s.node.MayRead(ctx, id, name, kind); err != nil {
		return err
	}
	t, err := s.entry(ctx, name, id.User)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.member.Name, t.member.Role, t.member.Meta, t.member.Place = id.Name, id.Role, r.Meta, place
	t.member.Key = cmp.Or(r.Key, s.ref)
	t.mu.Unlock()
	if s.outlet.Over() {
		return errClosed // a newer connection may sit there
	}
	if err := s.show(ctx, t); err != nil {
		return err
	}
	s.tell(wire.OK{Ref: r.Ref})
	return nil
}

// show writes the session's entry, unless the session has ended meanwhile.
func (s *session) show(ctx context.Context, t *track) error {
	if err := s.node.putEntry(ctx, t); err != nil {
		return err
	}
	if s.hasEnded() {
		s.node.endEntry(t, false)
		return errClosed
	}
	return nil
}

func (s *session) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// checkMeta applies the schema that the app gave for what is said on a kind of
// channel.
func (n *Node) checkMeta(kind subjects.Kind, meta json.RawMessage) error {
	schema := n.meta[kind.Name]
	if schema == nil {
		return nil
	}
	if len(meta) == 0 {
		meta = json.RawMessage("null")
	}
	return schema.Validate(meta)
}

// entry finds or begins the session's entry on a channel. A member that is there
// already, in its grace or through another node, is continued.
func (s *session) entry(ctx context.Context, name subjects.Channel, user string) (*track, error) {
	s.mu.Lock()
	t, here := s.tracks[name.String()]
	full := len(s.tracks) >= s.node.Limits.Channels
	s.mu.Unlock()
	if here {
		return t, nil
	}
	if full {
		return nil, schemas.Refuse(schemas.TooManyChannels, "at most %d channels per session", s.node.Limits.Channels)
	}
	ch, err := s.node.Hub.Acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := ch.LoadPresence(ctx); err != nil {
		s.node.Hub.Release(ch)
		return nil, err
	}
	t = &track{
		name: name, seat: name.Seat(user, s.ref), channel: ch, generation: s.generation,
		member: wire.Member{User: user, Ref: s.ref, Since: now()},
	}
	t.key = subjects.PresenceKey(s.node.name, t.seat)
	before, here := ch.ShownIn(t.seat)
	if here {
		t.member.Since = before.Value.Since
		t.generation = before.Following(s.generation)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.node.Hub.Release(ch)
		return nil, errClosed
	}
	if s.tracks == nil {
		s.tracks = make(map[string]*track)
	}
	s.tracks[name.String()] = t
	return t, nil
}

// untrack ends the session's presence on a channel.
func (s *session) untrack(ctx context.Context, r wire.Untrack) error {
	if _, _, err := s.node.Resolve(r.Channel); err != nil {
		return err
	}
	if err := s.removeEntry(ctx, r.Channel); err != nil {
		return err
	}
	s.tell(wire.OK{Ref: r.Ref})
	return nil
}

// removeEntry removes the session's entry from a channel, if there is one.
func (s *session) removeEntry(ctx context.Context, channel string) error {
	s.mu.Lock()
	t := s.tracks[channel]
	delete(s.tracks, channel)
	s.mu.Unlock()
	if t == nil {
		return nil
	}
	msg := seat.Leave(t.key, s.node.Limits.Grace)
	seat.SetGeneration(msg, t.generation)
	if _, err := s.node.store(ctx, msg); err != nil {
		s.node.endEntry(t, true) // as soon as it can be stored
		return fmt.Errorf("untrack: %w", err)
	}
	t.release(s.node.Hub)
	return nil
}

// putEntry writes an entry to the bucket.
func (n *Node) putEntry(ctx context.Context, t *track) error {
	value, err := t.value(hub.Record{Node: n.name})
	if err != nil {
		return err
	}
	msg := seat.Hold(t.key, value)
	seat.SetGeneration(msg, t.generation)
	revision, err := n.store(ctx, msg)
	if err != nil {
		return fmt.Errorf("track: %w", err)
	}
	t.mu.Lock()
	t.revision, t.written = revision, time.Now()
	t.mu.Unlock()
	return nil
}

// store writes to the bucket and returns the revision that it has then.
func (n *Node) store(ctx context.Context, msg *nats.Msg) (revision uint64, err error) {
	reply, err := n.requester.request(ctx, msg)
	if err != nil {
		return 0, err
	}
	ack, err := acknowledged(reply)
	return ack.Sequence, err
}

// value is what the entry says of the session's member.
func (t *track) value(r hub.Record) ([]byte, error) {
	t.mu.Lock()
	r.Member = t.member
	t.mu.Unlock()
	return r.Encode()
}

// endEntry is what becomes of an entry when its session's connection is gone: it is
// left after a clean goodbye; otherwise it waits for the session, for its grace,
// whatever becomes of this node. An entry that was written again meanwhile, for a
// newer connection of the session to this node, is left alone.
func (n *Node) endEntry(t *track, clean bool) {
	defer t.release(n.Hub)
	t.mu.Lock()
	revision := t.revision
	t.mu.Unlock()
	if revision == 0 {
		return // never written
	}
	value, err := t.value(hub.Record{Node: n.name, Grace: n.Limits.Grace})
	if err != nil {
		n.log.Error("grace", "key", t.key, "error", err)
		return
	}
	n.releaseEntry(left{t.key, t.generation, value, revision}, clean)
}

// left is an entry whose session's connection is gone.
type left struct {
	key        string
	generation uint64
	value      []byte // with the grace in it
	revision   uint64
}

// releaseEntry has an entry left, or wait for its session.
func (n *Node) releaseEntry(l left, clean bool) {
	msg, grace := seat.Wait(l.key, l.value, l.revision, n.Limits.Grace), n.Limits.Grace
	if clean {
		msg, grace = seat.Leave(l.key, n.Limits.Grace), 0
		seat.ExpectRevision(msg, l.revision)
	}
	seat.SetGeneration(msg, l.generation)
	n.settle(msg, wait{key: l.key, generation: l.generation}, grace)
}

// settle stores what becomes of an entry, unless something newer has, and sees to the
// end of its wait, if it has a grace. It is the same message each time, so that the
// bus answers as before when only an answer was lost.
func (n *Node) settle(msg *nats.Msg, w wait, grace time.Duration) {
	n.requester.send(msg, func(reply *nats.Msg, err error) {
		var ack jetstream.PubAck
		if err == nil {
			ack, err = acknowledged(reply)
		}
		refused, is := errors.AsType[*jetstream.APIError](err)
		switch {
		case err == nil && grace > 0:
			w.revision = ack.Sequence
			n.waits.add(w, time.Now().Add(grace))
			return
		case err == nil, errors.Is(err, errRequesterClosed), is && moved(refused):
			return
		}
		hub.Setback(n.log, err, "grace", "key", w.key)
		n.Hub.Start(func(ctx context.Context) {
			if hub.Pause(ctx, hub.RefusedPause) { // while it stands its user seems to be there
				n.settle(msg, w, grace)
			}
		})
	})
}

// presenceChanged keeps the entries of this node's sessions true: one that was
// removed although its session is there is written again, and outlives that. A
// session that goes on at another node has ended here.
func (n *Node) presenceChanged(name subjects.Channel, seen hub.PresenceChange) (outlived bool) {
	_, _, ref, err := subjects.ParseSeat(seen.Seat)
	if err != nil {
		return false
	}
	s := n.registry.find(ref)
	if s == nil {
		return false
	}
	s.mu.Lock()
	t := s.tracks[name.String()]
	s.mu.Unlock()
	if t == nil || t.seat != seen.Seat {
		return false
	}
	if seen.Entry.Node != n.name {
		if seen.Entry.Holds() && seen.Entry.Outranks(t.generation, t.lastWritten()) {
			s.end(errReplaced)
		}
		return false
	}
	if seen.Entry.Sequence <= t.lastWritten() || !seen.Entry.Left {
		return false
	}
	n.Hub.Start(func(ctx context.Context) { n.restoreEntry(ctx, s, t) })
	return true
}

// restoreEntry writes an entry again, as long as its session is there: a bus that
// lost its last writes, or an operator, may have removed it, and nobody must notice.
// When the session ends meanwhile, the presence set takes what the bucket says.
func (n *Node) restoreEntry(ctx context.Context, s *session, t *track) {
	if !t.restoring.CompareAndSwap(false, true) {
		return
	}
	defer t.restoring.Store(false)
	for s.holds(t) {
		attempt, cancel := context.WithTimeout(ctx, RequestTimeout)
		err := s.show(attempt, t)
		cancel()
		if err == nil && !s.holds(t) {
			n.endEntry(t, true) // it was untracked meanwhile
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		hub.Pause(ctx, hub.Setback(n.log, err, "restore presence", "key", t.key))
	}
	if err := t.channel.Reload(ctx); err != nil && ctx.Err() == nil {
		n.log.Warn("restore presence", "key", t.key, "error", err)
	}
}

// holds says whether the entry is the session's, which has not ended.
func (s *session) holds(t *track) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed && s.tracks[t.name.String()] == t
}

// lastWritten is the entry's revision. Before the first write it is above all, as
// that is still to come.
func (t *track) lastWritten() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cmp.Or(t.revision, math.MaxUint64)
}

// refreshTracks writes again the entries that have stood for long.
func (s *session) refreshTracks(ctx context.Context, now time.Time) {
	s.refreshDevice(now)
	s.mu.Lock()
	tracks := slices.Collect(maps.Values(s.tracks))
	s.mu.Unlock()
	for _, t := range tracks {
		t.mu.Lock()
		due := !t.written.IsZero() && now.Sub(t.written) > refreshPresence
		t.mu.Unlock()
		if !due {
			continue
		}
		if err := s.node.putEntry(ctx, t); err != nil && ctx.Err() == nil {
			hub.Setback(s.node.log, err, "refresh presence", "key", t.key)
		}
	}
}
