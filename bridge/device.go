package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
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

	writing  sync.Mutex // one writer at a time; guards what follows
	since    time.Time
	written  time.Time
	revision uint64 // of the bucket
}

// Activities, in the order in which a user who does nothing goes through them.
const (
	unseen int32 = iota
	active
	idle
	away
)

var activities = [...]string{unseen: "", active: "active", idle: "idle", away: "away"}

// about is what the entry of a device says beside its kind.
type about struct {
	Activity   string    `json:"activity"`
	LastActive time.Time `json:"last_active"`
	Avatar     string    `json:"avatar,omitempty"`
}

// deviceKinds are what a user may be there with.
var deviceKinds = map[string]bool{"web": true, "mobile": true, "desktop": true}

// plugIn shows the session as a device of its user.
func (s *session) plugIn(kind string, resumed bool) {
	if kind == "" {
		return
	}
	if !deviceKinds[kind] {
		s.refuse("", schemas.Refuse(schemas.InvalidFrame, "a device is web, mobile or desktop"))
		return
	}
	s.device.Store(&device{kind: kind, resumed: resumed})
	s.bridge.hub.start(s.showDevice)
}

// isDeviceOn says whether a channel is that on which the session stands as a device.
func (s *session) isDeviceOn(name subjects.Channel) bool {
	return name.Kind == kindUser && s.device.Load() != nil
}

func (s *session) deviceKey() string {
	return subjects.Channel{Kind: kindUser, ID: s.user}.Presence(s.user, s.ref)
}

// touch says that the user did something.
func (s *session) touch() {
	d := s.device.Load()
	if d == nil {
		return
	}
	d.touched.Store(time.Now().UnixMilli())
	if d.shown.Load() != active {
		s.bridge.hub.start(s.showDevice)
	}
}

// sweepDevice has the activity written when it is not what others see.
func (s *session) sweepDevice(now time.Time) {
	d := s.device.Load()
	if d != nil && d.shown.Load() != unseen && d.shown.Load() != d.activity(now, s.bridge.limits) {
		s.bridge.hub.start(s.showDevice)
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

// quiet is for how long at least, and how long at most, nobody touched a device
// of an activity.
func (l Limits) quiet(activity string) (least, most time.Duration) {
	switch activity {
	case activities[idle]:
		return l.Idle, l.Away
	case activities[away]:
		return l.Away, math.MaxInt64
	}
	return 0, l.Idle
}

// showDevice writes the entry of the session's device until it is true.
func (s *session) showDevice(ctx context.Context) {
	d := s.device.Load()
	if d == nil || !d.writing.TryLock() {
		return // whoever writes looks again
	}
	defer d.writing.Unlock()
	for s.device.Load() == d && !s.hasEnded() && d.shown.Load() != d.activity(time.Now(), s.bridge.limits) {
		attempt, cancel := context.WithTimeout(ctx, requestTimeout)
		err := s.writeDevice(attempt, d)
		cancel()
		if err == nil || ctx.Err() != nil {
			continue
		}
		s.bridge.log.Warn("show device", "user", s.user, "error", err)
		if !pause(ctx, retryPause) {
			return
		}
	}
}

func (s *session) writeDevice(ctx context.Context, d *device) error {
	if d.since.IsZero() {
		d.since = now()
		if d.resumed {
			if _, err := s.lookAtDevice(ctx, d); err != nil {
				return err
			}
		}
		d.touched.CompareAndSwap(0, time.Now().UnixMilli())
	}
	activity := d.activity(time.Now(), s.bridge.limits)
	msg, err := s.deviceEntry(d, activity, s.bridge.node)
	if err != nil {
		return err
	}
	reply, err := s.bridge.asker.askAndWait(ctx, msg)
	if err != nil {
		return fmt.Errorf("device: %w", err)
	}
	var ack struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(reply.Data, &ack); {
	case err != nil:
		return fmt.Errorf("device: %w", err)
	case ack.Error == nil && ack.Sequence > 0:
		d.revision, d.written = ack.Sequence, time.Now()
		d.shown.Store(activity)
		return nil
	case ack.Error != nil && !moved(ack.Error):
		return fmt.Errorf("device: %w", ack.Error)
	}
	return s.reconsider(ctx, d)
}

// reconsider looks at an entry that is not as it was left. It may be gone, and is
// to be written again; or the session goes on elsewhere, and ends here soon.
func (s *session) reconsider(ctx context.Context, d *device) error {
	before := d.revision
	found, err := s.lookAtDevice(ctx, d)
	switch {
	case err != nil || d.revision == before:
	case !d.written.IsZero() && found != nil && found.Node != "" && found.Node != s.bridge.node:
		s.device.CompareAndSwap(d, nil)
	default:
		d.shown.Store(unseen)
	}
	return err
}

// moved tells that the entry has a newer revision.
func moved(err *jetstream.APIError) bool {
	return err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || err.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// lookAtDevice reads the entry as it is now; nil is none.
func (s *session) lookAtDevice(ctx context.Context, d *device) (*record, error) {
	fact, found, err := history.LastMessage(ctx, s.bridge.hub.bus.Publish, presenceStream, presenceKeys+s.deviceKey())
	if err != nil {
		return nil, fmt.Errorf("device: %w", err)
	}
	d.revision = 0
	if !found {
		return nil, nil
	}
	d.revision = fact.Sequence
	entry := recordOf(fact.Header, fact.Data)
	if entry == nil {
		return nil, nil
	}
	d.since = entry.Since
	d.remember(entry.Meta, time.Now(), s.bridge.limits)
	return entry, nil
}

// remember goes on from what the entry says of a session that comes back: a
// reconnect is nothing that the user did. The time in it may be of a node whose
// clock is wrong: it is believed only where it agrees with the activity in it,
// which may have stood since the session was lost.
func (d *device) remember(meta json.RawMessage, now time.Time, limits Limits) {
	var said about
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

// deviceEntry is the message that writes the entry, if it is as it was left.
func (s *session) deviceEntry(d *device, activity int32, node string) (*nats.Msg, error) {
	id := s.who()
	meta, err := json.Marshal(about{
		Activity: activities[activity], LastActive: time.UnixMilli(d.touched.Load()).UTC(), Avatar: id.Avatar,
	})
	if err != nil {
		return nil, err
	}
	member := wire.Member{User: s.user, Ref: s.ref, Name: id.Name, Meta: meta, Device: d.kind, Since: d.since}
	msg, err := entryOf(s.deviceKey(), record{Member: member, Node: node})
	if err != nil {
		return nil, err
	}
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(d.revision, 10))
	return msg, nil
}

// unplug is what becomes of the device when its session has ended: see depart.
func (s *session) unplug(clean bool) {
	d := s.device.Load()
	if d == nil {
		return
	}
	s.bridge.hub.start(func(context.Context) {
		d.writing.Lock() // whoever writes sees that the session has ended
		defer d.writing.Unlock()
		if d.shown.Load() == unseen || s.device.Load() != d {
			return // never written, or elsewhere
		}
		msg := departure(s.deviceKey())
		msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(d.revision, 10))
		if !clean {
			var err error
			if msg, err = s.deviceEntry(d, d.shown.Load(), ""); err != nil {
				s.bridge.log.Error("grace", "user", s.user, "error", err)
				return
			}
			msg.Header.Set(headerTTL, strconv.Itoa(int(s.bridge.limits.Grace.Seconds())))
		}
		s.bridge.asker.ask(msg, func(_ *nats.Msg, err error) {
			if err != nil && !errors.Is(err, errAskerClosed) {
				s.bridge.log.Warn("grace", "user", s.user, "error", err)
			}
		})
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
		s.bridge.hub.start(s.showDevice)
	}
}

// confirmDevices writes again the entries that are gone although their sessions
// are there: after the bus was away, others may have taken this node for dead.
func (b *Bridge) confirmDevices(ctx context.Context) {
	for _, s := range b.registry.all() {
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
			b.log.Warn("confirm device", "user", s.user, "error", err)
			return // the bus is away again
		}
		b.hub.start(s.showDevice)
	}
}
