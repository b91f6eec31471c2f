package hub

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
)

// PresenceChange is what one node says of a seat.
type PresenceChange struct {
	Seat  string
	Entry seat.Entry[Record]
}

// presenceSet is who is on one channel. It is a snapshot of the bucket merged by
// sequence with the feed of its changes, and knows what the browsers were told,
// so that a leave and a return between two tellings are no news.
type presenceSet struct {
	nodes   seat.Nodes
	seats   map[string]seat.Seat[Record]
	told    map[string]wire.Member // by seat
	census  census                 // of told
	changed map[string]struct{}    // seats to compare with told
	waiting map[string]time.Time   // seats of which somebody may come back, until when
	soonest time.Time              // no wait ends before it
	loading bool                   // those who left are kept, lest an older snapshot revive them
	known   bool                   // a snapshot was whole
	diffs   uint64                 // how often what changed was told
	expired int                    // who was waited for in vain, not counted yet
	whole   uint64                 // the last snapshot holds all changes up to here
	stated  [maxViews][][]byte     // frames of the state, until what was told changes
}

func newPresenceSet(nodes seat.Nodes) *presenceSet {
	return &presenceSet{
		nodes: nodes, loading: true,
		seats: make(map[string]seat.Seat[Record]), told: make(map[string]wire.Member), census: newCensus(),
		changed: make(map[string]struct{}), waiting: make(map[string]time.Time),
	}
}

// change merges a change from the feed. The feed may lag behind the snapshot,
// which has forgotten who left: what it held already would revive them.
func (r *presenceSet) change(s PresenceChange) {
	if s.Entry.Sequence > r.whole {
		r.apply(s)
	}
}

// apply merges what a node says of a seat.
func (r *presenceSet) apply(s PresenceChange) {
	waited := r.awaits(s.Seat)
	taken, news := r.seats[s.Seat].Take(s.Entry)
	if !news {
		return
	}
	taken.End(seat.Entry[Record].Ended, r.nodes)
	r.put(s.Seat, taken)
	r.countExpired(s.Seat, waited)
}

// awaits tells that a seat is shown because somebody may come back.
func (r *presenceSet) awaits(name string) bool {
	shown, ok := r.seats[name].Shown(r.nodes.Here)
	return ok && shown.Waits()
}

// countExpired counts whoever was waited for and is not there.
func (r *presenceSet) countExpired(name string, waited bool) {
	if _, here := r.visible(name); waited && !here {
		r.expired++
	}
}

// put keeps a seat that has changed, or forgets it when nobody is there. Who was
// waited for in vain is kept until a snapshot lacks them: by a clock that is late a
// snapshot may find that a moment of their grace is left.
func (r *presenceSet) put(name string, s seat.Seat[Record]) {
	expired := slices.ContainsFunc(s, func(e seat.Entry[Record]) bool { return e.Left && !e.Until.IsZero() })
	if s.Vacant() && !expired && !r.loading {
		delete(r.seats, name)
	} else {
		r.seats[name] = s
	}
	r.changed[name] = struct{}{}
	if next := s.Next(); next.IsZero() {
		delete(r.waiting, name)
	} else {
		r.waiting[name] = next
		if r.soonest.IsZero() || next.Before(r.soonest) {
			r.soonest = next
		}
	}
}

// end has those leave whose wait is over, as [seat.Entry.Ended] tells, or, before
// somebody is told of them for the first time, [seat.Entry.Overdue].
func (r *presenceSet) end(over func(e seat.Entry[Record], nodes seat.Nodes) bool) {
	if len(r.waiting) == 0 || !r.nodes.Over(r.soonest) {
		return // it is asked by whoever comes
	}
	for name, until := range r.waiting {
		if !r.nodes.Over(until) {
			continue
		}
		waited := r.awaits(name)
		if r.seats[name].End(over, r.nodes) {
			r.put(name, r.seats[name])
			r.countExpired(name, waited)
		}
	}
	r.soonest = time.Time{}
	for _, until := range r.waiting {
		if r.soonest.IsZero() || until.Before(r.soonest) {
			r.soonest = until
		}
	}
}

// begin prepares for a snapshot; finish ends it: entries that are not newer than
// the snapshot's end and were not found in it are gone.
func (r *presenceSet) begin() { r.loading = true }

func (r *presenceSet) finish(upTo uint64, found map[string]bool) {
	r.loading, r.known, r.whole = false, true, max(r.whole, upTo)
	for name, s := range r.seats {
		before := len(s)
		s = s.Without(func(e seat.Entry[Record]) bool {
			return e.Sequence <= upTo && !found[subjects.PresenceKey(e.Node, name)]
		})
		if len(s) < before || s.Vacant() {
			r.put(name, s)
		}
	}
}

// lacking lists the keys that finish would take for gone.
func (r *presenceSet) lacking(upTo uint64, found map[string]bool) []string {
	var keys []string
	for name, s := range r.seats {
		for _, e := range s {
			if key := subjects.PresenceKey(e.Node, name); !e.Left && e.Sequence <= upTo && !found[key] {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// review has the seats of a node compared again, after it died or came back.
func (r *presenceSet) review(node string) {
	for name, s := range r.seats {
		if slices.ContainsFunc(s, func(e seat.Entry[Record]) bool { return e.Node == node }) {
			r.changed[name] = struct{}{}
		}
	}
}

// refs are the references of the sessions of a node's by which a user, or
// everyone, is here.
func (r *presenceSet) refs(node, user string) []string {
	var refs []string
	for _, s := range r.seats {
		for _, e := range s {
			if e.Node == node && !e.Left && (user == everyone || e.Value.User == user) {
				refs = append(refs, e.Value.Ref)
			}
		}
	}
	return refs
}

func (r *presenceSet) visible(name string) (wire.Member, bool) {
	shown, ok := r.seats[name].Shown(r.nodes.Here)
	return shown.Value.Member, ok
}

// diff compares what changed with what was told and returns the difference,
// which is then told. It is empty when the changes cancelled out.
func (r *presenceSet) diff(channel string) (diff wire.Diff, news bool) {
	diff.Channel = channel
	r.diffs++
	for key := range r.changed {
		now, here := r.visible(key)
		before, was := r.told[key]
		switch {
		case here && !was:
			diff.Joins = append(diff.Joins, now)
		case here && was && !same(now, before):
			diff.Updates, diff.Was = append(diff.Updates, now), append(diff.Was, before)
		case !here && was:
			diff.Leaves = append(diff.Leaves, before)
		}
		if was {
			r.census.remove(before)
			delete(r.told, key)
		}
		if here {
			r.census.add(now)
			r.told[key] = now
		}
	}
	diff.Users, diff.Keys = r.census.turnover()
	if len(r.changed) > 0 {
		clear(r.stated[:])
	}
	clear(r.changed)
	diff.Count = len(r.told)
	return diff, len(diff.Joins)+len(diff.Updates)+len(diff.Leaves) > 0
}

const (
	// statePage is how many members one State tells; the others follow as joins.
	statePage = 200
	// stateKept is the number of members from which on their state is kept encoded
	// for whoever else comes; fewer are encoded in less time than they take room.
	stateKept = 20
)

// state is who was told to be here, as frames of a view.
func (r *presenceSet) state(channel string, v View) [][]byte {
	if kept := r.stated[v]; kept != nil {
		return kept
	}
	members := r.list(nil)
	page, rest := members[:min(statePage, len(members))], members[min(statePage, len(members)):]
	frames := [][]byte{v.encode(wire.State{Channel: channel, Members: page, Count: len(members)})}
	stated := newCensus()
	stated.tell(page)
	for page := range slices.Chunk(rest, statePage) {
		diff := wire.Diff{Channel: channel, Joins: page, Count: len(members)}
		diff.Users, diff.Keys = stated.tell(page)
		frames = append(frames, v.encode(diff))
	}
	if len(members) >= stateKept {
		r.stated[v] = frames
	}
	return frames
}

// settledSince tells that all who were here after so many tellings were told.
func (r *presenceSet) settledSince(tellings uint64) bool {
	return r.known && (len(r.changed) == 0 || r.diffs > tellings)
}

// count is how many are here, told or not yet.
func (r *presenceSet) count() int {
	here := 0
	for key := range r.seats {
		if _, visible := r.visible(key); visible {
			here++
		}
	}
	return here
}

// here is who was told to be here, and has not gone since, the longest here first.
func (r *presenceSet) here() []wire.Member {
	return r.list(func(name string) bool { _, here := r.visible(name); return here })
}

// list is who was told to be here, or those of them that keep is true of, if given, the
// longest here first.
func (r *presenceSet) list(keep func(name string) bool) []wire.Member {
	members := make([]wire.Member, 0, len(r.told))
	for name, member := range r.told {
		if keep == nil || keep(name) {
			members = append(members, member)
		}
	}
	slices.SortFunc(members, func(a, b wire.Member) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.User, b.User), cmp.Compare(a.Ref, b.Ref))
	})
	return members
}

func same(a, b wire.Member) bool {
	samePlace := a.Place == b.Place || a.Place != nil && b.Place != nil && *a.Place == *b.Place
	return a.Name == b.Name && a.Role == b.Role && a.Device == b.Device && a.Key == b.Key && samePlace && bytes.Equal(a.Meta, b.Meta)
}
