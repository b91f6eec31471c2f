package bridge

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/latido/latido/bridge/wire"
)

// record is the value of a key in the bucket "presence": the member, and the node
// that holds its connection. A member in its grace has no node: the time to live
// of its key decides.
type record struct {
	wire.Member
	Node string `json:"node"`
}

// roster is who is on one channel. It is a snapshot of the bucket merged by
// sequence with the feed of its changes, and knows what the browsers were told,
// so that a leave and a return between two tellings are no news.
type roster struct {
	alive    func(node string) bool
	records  map[string]seated
	told     map[string]wire.Member
	changed  map[string]struct{}     // keys to compare with told
	loading  bool                    // records of the departed are kept, lest an older snapshot revive them
	known    bool                    // a snapshot was whole
	tellings uint64                  // how often what changed was told
	whole    uint64                  // the last snapshot holds all changes up to here
	stated   [len(dialects)][][]byte // frames of the state, until what was told changes
}

type seated struct {
	record
	sequence uint64
	gone     bool
}

func newRoster(alive func(node string) bool) *roster {
	return &roster{
		alive: alive, loading: true,
		records: make(map[string]seated), told: make(map[string]wire.Member), changed: make(map[string]struct{}),
	}
}

// change merges a change from the feed. The feed may lag behind the snapshot,
// which has forgotten the departed: what it held already would revive them.
func (r *roster) change(key string, sequence uint64, now *record) {
	if sequence > r.whole {
		r.apply(key, sequence, now)
	}
}

// apply merges one change of a key. A nil record is a departure.
func (r *roster) apply(key string, sequence uint64, now *record) {
	before, known := r.records[key]
	if known && before.sequence >= sequence {
		return
	}
	switch {
	case now != nil:
		r.records[key] = seated{record: *now, sequence: sequence}
	case r.loading:
		r.records[key] = seated{sequence: sequence, gone: true}
	default:
		delete(r.records, key)
	}
	r.changed[key] = struct{}{}
}

// begin prepares for a snapshot; finish ends it: records that are not newer than
// the snapshot's end and were not found in it are gone.
func (r *roster) begin() { r.loading = true }

func (r *roster) finish(upTo uint64, found map[string]bool) {
	r.loading, r.known, r.whole = false, true, upTo
	for key, seat := range r.records {
		if seat.gone || seat.sequence <= upTo && !found[key] {
			delete(r.records, key)
			r.changed[key] = struct{}{}
		}
	}
}

// lacking lists the keys that finish would take for gone.
func (r *roster) lacking(upTo uint64, found map[string]bool) []string {
	var keys []string
	for key, seat := range r.records {
		if !seat.gone && seat.sequence <= upTo && !found[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// review has the entries of a node compared again, after it died or came back.
func (r *roster) review(node string) {
	for key, seat := range r.records {
		if seat.Node == node {
			r.changed[key] = struct{}{}
		}
	}
}

func (r *roster) visible(key string) (wire.Member, bool) {
	seat, ok := r.records[key]
	return seat.Member, ok && !seat.gone && (seat.Node == "" || r.alive(seat.Node))
}

// settle compares what changed with what was told and returns the difference,
// which is then told. It is empty when the changes cancelled out.
func (r *roster) settle(channel string) (diff wire.Diff, news bool) {
	diff.Channel = channel
	r.tellings++
	for key := range r.changed {
		now, here := r.visible(key)
		before, was := r.told[key]
		switch {
		case here && !was:
			diff.Joins = append(diff.Joins, now)
		case here && was && !same(now, before):
			diff.Updates = append(diff.Updates, now)
		case !here && was:
			diff.Leaves = append(diff.Leaves, before)
		}
		if here {
			r.told[key] = now
		} else {
			delete(r.told, key)
		}
	}
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

// state is who was told to be here, as frames of a dialect.
func (r *roster) state(channel string, d dialect) [][]byte {
	if kept := r.stated[d]; kept != nil {
		return kept
	}
	members := r.list()
	page, rest := members[:min(statePage, len(members))], members[min(statePage, len(members)):]
	frames := [][]byte{d.encode(wire.State{Channel: channel, Members: page, Count: len(members)})}
	for page := range slices.Chunk(rest, statePage) {
		frames = append(frames, d.encode(wire.Diff{Channel: channel, Joins: page, Count: len(members)}))
	}
	if len(members) >= stateKept {
		r.stated[d] = frames
	}
	return frames
}

// settledSince tells that all who were here after so many tellings were told.
func (r *roster) settledSince(tellings uint64) bool {
	return r.known && (len(r.changed) == 0 || r.tellings > tellings)
}

// count is how many are here, told or not yet.
func (r *roster) count() int {
	here := 0
	for key := range r.records {
		if _, visible := r.visible(key); visible {
			here++
		}
	}
	return here
}

// list is who was told to be here, the longest here first.
func (r *roster) list() []wire.Member {
	members := make([]wire.Member, 0, len(r.told))
	for _, member := range r.told {
		members = append(members, member)
	}
	slices.SortFunc(members, func(a, b wire.Member) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.User, b.User), cmp.Compare(a.Ref, b.Ref))
	})
	return members
}

func same(a, b wire.Member) bool {
	samePlace := a.Place == b.Place || a.Place != nil && b.Place != nil && *a.Place == *b.Place
	return a.Name == b.Name && a.Device == b.Device && a.Key == b.Key && samePlace && bytes.Equal(a.Meta, b.Meta)
}
