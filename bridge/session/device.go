package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology"
)

// device is what a user is there with: one session of theirs that said so. It
// stands as an entry of presence on the user's own channel, written when the
// session begins and when its activity becomes another: an idle user costs no
// write, and neither does a busy one. Nobody watches the entry for it. Each write
// checks the entry's revision, and so finds out when it is not as it was left.
type device struct {
	kind    string
	resumed bool         // the session may have an entry already
	touched atomic.Int64 // when the user last did something, unix milliseconds
	shown   atomic.Int32 // the activity that others see

	writing    sync.Mutex // one writer at a time; guards what follows
	since      time.Time
	written    time.Time
	revision   uint64 // of the bucket
	generation uint64 // of the session
}

// Activities, in the order in which a user who does nothing goes through them.
const (
	unseen int32 = iota
	active
	idle
	away
)

var activities = [...]string{unseen: "", active: "active", idle: "idle", away: "away"}

// deviceKinds are what a user may be there with.
var deviceKinds = map[string]bool{"web": true, "mobile": true, "desktop": true}

// registerDevice shows the session as a device of its user.
func (s *session) registerDevice(kind string, resumed bool) {
	if kind == "" {
		return
	}
	if !deviceKinds[kind] {
		s.refuse("", schemas.Refuse(schemas.InvalidFrame, "a device is web, mobile or desktop"))
		return
	}
	s.device.Store(&device{kind: kind, resumed: resumed})
	s.node.Hub.Start(s.showDevice)
}

// isDeviceOn says whether a channel is that on which the session stands as a device.
func (s *session) isDeviceOn(name subjects.Channel) bool {
	return name.Kind == KindUser && s.device.Load() != nil
}

// deviceSeat is where the session sits as a device, and deviceKey this node's key
// for it.
func (s *session) deviceSeat() string {
	return subjects.Channel{Kind: KindUser, ID: s.user}.Seat(s.user, s.ref)
}

func (s *session) deviceKey() string { return subjects.PresenceKey(s.node.name, s.deviceSeat()) }

// touch says that the user did something.
func (s *session) touch() {
	d := s.device.Load()
	if d == nil {
		return
	}
	d.touched.Store(time.Now().UnixMilli())
	if d.shown.Load() != active {
		s.node.Hub.Start(s.showDevice)
	}
}

// sweepDevice has the activity written when it is not what others see.
func (s *session) sweepDevice(now time.Time) {
	d := s.device.Load()
	if d != nil && d.shown.Load() != unseen && d.shown.Load() != d.activity(now, s.node.Limits) {
		s.node.Hub.Start(s.showDevice)
	}
}

func (d *device) activity(now time.Time, limits Limits) int32 {
	switch quiet := now.Sub(time.UnixMilli(d.touched.Load())); {
	case quiet < limits.Idle:
		return active
	case quiet < limits.Away:
		return idle
	}
	return away
}

// showDevice writes the entry of the session's device until it is true.
func (s *session) showDevice(ctx context.Context) {
	d := s.device.Load()
	if d == nil || !d.writing.TryLock() {
		return // whoever writes looks again
	}
	defer d.writing.Unlock()
	for s.device.Load() == d && !s.outlet.Over() && d.shown.Load() != d.activity(time.Now(), s.node.Limits) {
		attempt, cancel := context.WithTimeout(ctx, RequestTimeout)
		err := s.writeDevice(attempt, d)
		cancel()
		if err == nil || ctx.Err() != nil {
			continue
		}
		if !hub.Pause(ctx, hub.Setback(s.node.log, err, "show device", "user", s.user)) {
			return
		}
	}
}

func (s *session) writeDevice(ctx context.Context, d *device) error {
	if d.since.IsZero() {
		if err := s.takeUp(ctx, d); err != nil {
			return err
		}
	}
	activity := d.activity(time.Now(), s.node.Limits)
	value, err := s.deviceValue(d, activity, hub.Record{Node: s.node.name})
	if err != nil {
		return err
	}
	msg := seat.Hold(s.deviceKey(), value)
	seat.ExpectRevision(msg, d.revision)
	seat.SetGeneration(msg, d.generation)
	revision, err := s.node.store(ctx, msg)
	if refused, is := errors.AsType[*jetstream.APIError](err); is && moved(refused) {
		return s.reconsider(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	d.revision, d.written = revision, time.Now()
	d.shown.Store(activity)
	return nil
}

// takeUp goes on from where a session that comes back was, on whichever node.
func (s *session) takeUp(ctx context.Context, d *device) error {
	since := now()
	d.generation = s.generation
	if d.resumed {
		before, found, err := s.findDevice(ctx, "*."+s.deviceSeat())
		if err != nil {
			return err
		}
		if found && before.Node != s.node.name {
			d.generation = before.Following(s.generation)
		}
		if found && !before.Left {
			since = before.Value.Since
			d.remember(before.Value.Meta, time.Now(), s.node.Limits)
		}
		if err := s.reconsider(ctx, d); err != nil {
			return err
		}
	}
	d.since = since
	d.touched.CompareAndSwap(0, time.Now().UnixMilli())
	return nil
}

// reconsider looks at an entry that is not as it was left: it may be gone, and is
// to be written again.
func (s *session) reconsider(ctx context.Context, d *device) error {
	before := d.revision
	found, _, err := s.findDevice(ctx, s.deviceKey())
	if err != nil {
		return err
	}
	if d.revision = found.Sequence; d.revision != before {
		d.shown.Store(unseen)
	}
	return nil
}

// moved tells that the entry has a newer revision.
func moved(err *jetstream.APIError) bool {
	return err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// findDevice reads the newest entry of the keys of the session's device.
func (s *session) findDevice(ctx context.Context, keys string) (entry seat.Entry[hub.Record], found bool, err error) {
	fact, found, err := history.LastMessage(ctx, s.node.Hub.Bus.Publish, seat.Stream, seat.Keys+keys)
	if err != nil || !found {
		return entry, false, err
	}
	seen, _, found := hub.ReadEntry(strings.TrimPrefix(fact.Subject, seat.Keys), fact.Sequence, fact.Header, fact.Data, 0)
	return seen.Entry, found, nil
}

// remember goes on from what the entry says of a session that comes back: a
// reconnect is nothing that the user did. The time in it may be of a node whose
// clock is wrong: it is believed only where it agrees with the activity in it,
// which may have stood since the session was lost.
func (d *device) remember(meta json.RawMessage, now time.Time, limits Limits) {
	var said presence.About
	if json.Unmarshal(meta, &said) != nil || said.LastActive.IsZero() {
		return
	}
	lost := topology.LeaseTTL + limits.Grace
	quiet := now.Sub(said.LastActive)
	if least, most := limits.quiet(said.Activity); quiet < least || quiet-lost > most {
		quiet = least
	}
	d.touched.CompareAndSwap(0, now.Add(-quiet).UnixMilli())
}

// deviceValue is what the entry says of the device.
func (s *session) deviceValue(d *device, activity int32, r hub.Record) ([]byte, error) {
	id := s.who()
	meta, err := json.Marshal(presence.About{
		Activity: activities[activity], LastActive: time.UnixMilli(d.touched.Load()).UTC(), Avatar: id.Avatar,
	})
	if err != nil {
		return nil, err
	}
	r.Member = wire.Member{User: s.user, Ref: s.ref, Name: id.Name, Role: id.Role, Meta: meta, Device: d.kind, Since: d.since}
	return r.Encode()
}

// unregisterDevice is what becomes of the device when its session has ended: see depart.
func (s *session) unregisterDevice(clean bool) {
	d := s.device.Load()
	if d == nil {
		return
	}
	s.node.Hub.Start(func(context.Context) {
		d.writing.Lock() // whoever writes sees that the session has ended
		defer d.writing.Unlock()
		if d.shown.Load() == unseen || s.device.Load() != d {
			return // never written, or elsewhere
		}
		value, err := s.deviceValue(d, d.shown.Load(), hub.Record{Node: s.node.name, Grace: s.node.Limits.Grace})
		if err != nil {
			s.node.log.Error("grace", "user", s.user, "error", err)
			return
		}
		s.node.releaseEntry(left{s.deviceKey(), d.generation, value, d.revision}, clean)
	})
}

// refreshDevice has an entry that has stood for long written again.
func (s *session) refreshDevice(now time.Time) {
	d := s.device.Load()
	if d == nil || !d.writing.TryLock() {
		return
	}
	due := !d.written.IsZero() && now.Sub(d.written) > refreshPresence
	if due {
		d.shown.Store(unseen)
	}
	d.writing.Unlock()
	if due {
		s.node.Hub.Start(s.showDevice)
	}
}

// ConfirmDevices writes again the entries that are gone although their sessions
// are there: a bus that was away may have lost its last writes.
func (n *Node) ConfirmDevices(ctx context.Context) {
	for _, s := range n.registry.all() {
		d := s.device.Load()
		if d == nil {
			continue
		}
		var err error
		d.writing.Lock() // after the answer to a write that is under way
		if !d.written.IsZero() {
			err = s.reconsider(ctx, d)
		}
		d.writing.Unlock()
		if err != nil {
			n.log.Warn("confirm device", "user", s.user, "error", err)
			return // the bus is away again
		}
		n.Hub.Start(s.showDevice)
	}
}
