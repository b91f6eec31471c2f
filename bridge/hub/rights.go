package hub

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

const (
	// rightsAtOnce bounds the memberships that are asked for at once.
	rightsAtOnce = 16
	// rightsDoubtful is how long the bridge may have been without news of
	// memberships before it looks at all of them: what tells that one ended is
	// kept for a minute only.
	rightsDoubtful = 45 * time.Second
)

// right is one reader's to follow a channel.
type right struct {
	reader  Reader
	channel subjects.Channel
}

// rights ends the subscriptions whose users have lost the right to them. What it
// hears of memberships is healed as facts are: by the numbers of their stream, so
// that a change which did not come is found when the stream is looked at. A check
// that fails is repeated until it has an answer.
type rights struct {
	hub  *Hub
	wake chan struct{}

	mu      sync.Mutex
	doubted map[right]struct{} // to be checked; at most the subscriptions there are
	changes uint64             // heard of so far
	epoch   string             // of the stream of memberships
	reached uint64             // sequence up to which every change was taken in
	sound   time.Time          // when there was no later one
}

func newRights(h *Hub) *rights {
	return &rights{hub: h, wake: make(chan struct{}, 1), doubted: make(map[right]struct{})}
}

// doubt has some readers' right to a channel checked.
func (r *rights) doubt(channel subjects.Channel, readers ...Reader) {
	if len(readers) == 0 {
		return
	}
	r.mu.Lock()
	for _, who := range readers {
		r.doubted[right{who, channel}] = struct{}{}
	}
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// heard counts the changes so far: whoever was let in while it grew is checked
// once more.
func (r *rights) heard() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changes
}

// change takes a change of a membership, the stream's message of that sequence.
func (r *rights) change(sequence uint64, key string) {
	r.mu.Lock()
	r.changes++
	switch {
	case sequence == r.reached+1:
		r.reached = sequence
	case sequence > r.reached:
		r.hub.checker.everything() // some did not come
	}
	r.mu.Unlock()
	if name, user, err := subjects.ParseMember(key); err == nil {
		r.hub.onMember(name, user)
	}
}

// run checks what is doubted until ctx ends.
func (r *rights) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		}
		r.mu.Lock()
		doubted := r.doubted
		r.doubted = make(map[right]struct{})
		r.mu.Unlock()
		var checks errgroup.Group
		checks.SetLimit(rightsAtOnce)
		for d := range doubted {
			checks.Go(func() error {
				err := d.reader.Recheck(ctx, d.channel)
				if err != nil && ctx.Err() == nil {
					r.hub.log.Warn("check a right", "channel", d.channel.String(), "error", err)
					r.doubt(d.channel, d.reader)
				}
				return err
			})
		}
		if checks.Wait() != nil && !Pause(ctx, RetryPause) {
			return
		}
	}
}

// settle finds the changes that did not come.
func (r *rights) settle(ctx context.Context) error {
	asked := time.Now()
	stream, err := history.Describe(ctx, r.hub.Bus.Live, membersStream)
	if err != nil {
		return fmt.Errorf("memberships: %w", err)
	}
	r.mu.Lock()
	after, began := r.reached, r.epoch == ""
	lost := r.epoch != stream.Epoch || stream.Last < after || asked.Sub(r.sound) > rightsDoubtful
	r.mu.Unlock()
	switch {
	case lost && !began:
		for _, ch := range r.hub.watched() {
			if ch.kind.Read.ByMembership() {
				r.hub.onMember(ch.Name, everyone)
			}
		}
	case stream.Last > after && !began:
		if err := r.read(ctx, after, stream.Last); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if lost || stream.Last > r.reached {
		r.reached = stream.Last
	}
	r.epoch, r.sound = stream.Epoch, asked
	return nil
}

// read takes the changes of a range of sequences in.
func (r *rights) read(ctx context.Context, after, upTo uint64) error {
	_, err := history.Read(ctx, r.hub.Bus.Replay, membersStream, membersKeys+">", after, upTo, func(p history.Page) error {
		for _, change := range p.Facts {
			if name, user, err := subjects.ParseMember(strings.TrimPrefix(change.Subject, membersKeys)); err == nil {
				r.hub.onMember(name, user)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("memberships: %w", err)
	}
	return nil
}

// WatchMembers hears of memberships from now on, and learns what they are now.
func (h *Hub) WatchMembers() error {
	if _, err := h.Bus.Live.ChanSubscribe(subjects.FeedMembers+">", h.inbox); err != nil {
		return fmt.Errorf("watch members: %w", err)
	}
	return nil
}

// SettleMembers finds the changes of memberships that did not come.
func (h *Hub) SettleMembers(ctx context.Context) error {
	if err := h.Bus.Live.FlushTimeout(openTimeout); err != nil {
		return fmt.Errorf("watch members: %w", err)
	}
	return h.rights.settle(ctx)
}

// Doubt has some readers' right to a channel checked.
func (h *Hub) Doubt(channel subjects.Channel, readers ...Reader) { h.rights.doubt(channel, readers...) }

// DoubtMembers has all memberships looked at the next time, as after a long time
// without news of them.
func (h *Hub) DoubtMembers() {
	h.rights.mu.Lock()
	defer h.rights.mu.Unlock()
	h.rights.sound = time.Time{}
}

// MemberChanges counts the changes of memberships so far: whoever was let in while it
// grew is checked once more.
func (h *Hub) MemberChanges() uint64 { return h.rights.heard() }
