package bridge

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
)

// device is what a user is there with: one session of theirs that said so. It
// stands as an entry of presence on the user's own channel, written when the
// session begins and when its activity becomes another: an idle user costs no
// write, and neither does a busy one.
type device struct {
	kind    string
	touched atomic.Int64 // when the user last did something, unix milliseconds
	shown   atomic.Int32 // the activity that others see

	writing sync.Mutex // one writer of the entry at a time
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
func (s *session) plugIn(kind string) {
	if kind == "" {
		return
	}
	if !deviceKinds[kind] {
		s.refuse("", schemas.Refuse(schemas.InvalidFrame, "a device is web, mobile or desktop"))
		return
	}
	s.device.Store(&device{kind: kind})
	s.bridge.hub.start(s.showDevice)
}

// isDeviceOn says whether a channel is that on which the session stands as a device.
func (s *session) isDeviceOn(name subjects.Channel) bool {
	return name.Kind == kindUser && s.device.Load() != nil
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
	for s.device.Load() == d && d.shown.Load() != d.activity(time.Now(), s.bridge.limits) {
		attempt, cancel := context.WithTimeout(ctx, requestTimeout)
		err := s.writeDevice(attempt, d)
		cancel()
		if s.hasEnded() || ctx.Err() != nil {
			return
		}
		if err != nil {
			s.bridge.log.Warn("show device", "user", s.user, "error", err)
			if !pause(ctx, retryPause) {
				return
			}
		}
	}
}

func (s *session) writeDevice(ctx context.Context, d *device) error {
	t, err := s.entry(ctx, subjects.Channel{Kind: kindUser, ID: s.user})
	if err != nil {
		return err
	}
	id := s.who()
	t.channel.mu.Lock()
	if seat, known := t.channel.roster.records[t.key]; known && !seat.gone {
		d.remember(seat.Meta, time.Now(), s.bridge.limits)
	}
	d.touched.CompareAndSwap(0, time.Now().UnixMilli())
	now := d.activity(time.Now(), s.bridge.limits)
	meta, err := json.Marshal(about{
		Activity: activities[now], LastActive: time.UnixMilli(d.touched.Load()).UTC(), Avatar: id.Avatar,
	})
	t.member.Name, t.member.Device, t.member.Meta = id.Name, d.kind, meta
	t.channel.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.show(ctx, t); err != nil {
		return err
	}
	d.shown.Store(now)
	return nil
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
