package hub

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
)

// bucket is what nodes have written of who is there.
type bucket struct {
	now  map[string]PresenceChange // by key; who left is forgotten after a while
	feed []PresenceChange
	gone map[string]bool // nodes
}

func (b *bucket) nodes() *nodes { return &nodes{gone: b.gone} }

// write has a node say something of a seat, for the newest connection or, late, for the
// one before.
func (b *bucket) write(random *rand.Rand, late uint64) {
	said := at(oneOf(random, "a", "b", "c"), oneOf(random, "n", "m", "o"), uint64(len(b.feed)+1), oneOf(random, "left", "1", "2"))
	said.Entry.Generation = uint64(len(b.feed)/4) + random.Uint64N(late+1)
	b.feed = append(b.feed, said)
	b.now[subjects.PresenceKey(said.Entry.Node, said.Seat)] = said
}

// snapshot is what a reader finds of what was written up to then; some markers of who
// left are gone already.
func (b *bucket) snapshot(random *rand.Rand, upTo uint64, markers bool) (entries []PresenceChange, found map[string]bool) {
	found = map[string]bool{}
	for key, said := range b.now {
		if said.Entry.Sequence > upTo || said.Entry.Left && !markers && chance(random, 2) {
			continue
		}
		found[key] = true
		entries = append(entries, said)
	}
	return entries, found
}

// members are who is shown, and with what meta.
func (b *bucket) members() map[string]string {
	seats := map[string]seat.Seat[Record]{}
	for _, said := range b.now {
		seats[said.Seat], _ = seats[said.Seat].Take(said.Entry)
	}
	members := map[string]string{}
	for name, s := range seats {
		if shown, ok := s.Shown(b.nodes().Here); ok {
			members[name] = string(shown.Value.Meta)
		}
	}
	return members
}

// follow applies a difference to what was told before.
func follow(t *testing.T, told map[string]string, diff wire.Diff) {
	t.Helper()
	for _, m := range diff.Joins {
		if _, here := told[m.Ref]; here {
			t.Errorf("%s joins twice", m.Ref)
		}
		told[m.Ref] = string(m.Meta)
	}
	for _, m := range diff.Updates {
		if meta, here := told[m.Ref]; !here || meta == string(m.Meta) {
			t.Errorf("%s is said to have changed", m.Ref)
		}
		told[m.Ref] = string(m.Meta)
	}
	for _, m := range diff.Leaves {
		if _, here := told[m.Ref]; !here {
			t.Errorf("%s leaves twice", m.Ref)
		}
		delete(told, m.Ref)
	}
	if diff.Count != len(told) {
		t.Errorf("%d are said to be there, %d were told", diff.Count, len(told))
	}
}

// However snapshots and the feed are mixed, and whatever the feed loses or says twice,
// who was told in the end are those who are there.
func TestPresenceMergesInAnyOrder(t *testing.T) {
	t.Parallel()
	eachSeed(t, 400, func(t *testing.T, random *rand.Rand) {
		b := &bucket{now: map[string]PresenceChange{}, gone: map[string]bool{}}
		r := newPresenceSet(b.nodes())
		told := map[string]string{}
		tell := func() {
			diff, news := r.diff("app:x")
			if news {
				follow(t, told, diff)
			}
		}
		came, loses, lost, markers := 0, true, uint64(0), chance(random, 2)
		come := func() {
			switch {
			case came == len(b.feed):
				return
			case loses && chance(random, 20):
				lost = b.feed[came].Entry.Sequence
			default:
				r.change(b.feed[came])
				if chance(random, 10) {
					r.change(b.feed[came])
				}
			}
			came++
		}
		reload := func() {
			r.begin()
			upTo := uint64(len(b.feed))
			meanwhile := func() {
				for range random.IntN(4) {
					oneOf(random, tell, come, func() { b.write(random, 0) })()
				}
			}
			meanwhile()
			entries, found := b.snapshot(random, upTo, markers)
			meanwhile()
			random.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
			for _, said := range entries {
				r.apply(said)
			}
			rewritten := 0
			for name, s := range r.seats {
				for _, e := range s {
					key := subjects.PresenceKey(e.Node, name)
					if !e.Left && e.Sequence <= upTo && !found[key] && b.now[key].Entry.Sequence > upTo {
						rewritten++
					}
				}
			}
			for _, key := range r.lacking(upTo, found) {
				if b.now[key].Entry.Sequence > upTo {
					found[key] = true // as the leader says
					rewritten--
				}
			}
			if rewritten != 0 {
				t.Errorf("%d entries that were written again are not asked for", rewritten)
			}
			r.finish(upTo, found)
			for name, s := range r.seats {
				if s.Vacant() {
					t.Errorf("the vacant seat %s is kept", name)
				}
			}
		}
		reload()
		for range random.IntN(150) {
			switch random.IntN(20) {
			case 0:
				reload()
			case 1:
				node := oneOf(random, "n", "m")
				b.gone[node] = !b.gone[node]
				r.review(node)
			case 2, 3, 4, 5:
				tell()
			case 6, 7, 8, 9, 10, 11:
				b.write(random, 0)
			default:
				come()
			}
			if markers && came == len(b.feed) && lost <= r.whole {
				tell()
				if want := b.members(); !maps.Equal(told, want) {
					t.Fatalf("told %v, there are %v", told, want)
				}
			}
		}
		for came < len(b.feed) {
			come()
		}
		for key, said := range b.now { // the markers of who left are gone
			if said.Entry.Left {
				delete(b.now, key)
			}
		}
		loses = false // or nobody but the next snapshot knew
		reload()
		for came < len(b.feed) {
			r.change(b.feed[came])
			came++
		}
		tell()
		if got, want := fmt.Sprint(told), fmt.Sprint(b.members()); got != want {
			t.Errorf("told %v, there are %v", got, want)
		}
		if r.count() != len(told) {
			t.Errorf("%d are counted, %d were told", r.count(), len(told))
		}
	})
}

// The same facts make the same set, in whatever order they come.
func TestPresenceOfTheSameFacts(t *testing.T) {
	t.Parallel()
	eachSeed(t, 200, func(t *testing.T, random *rand.Rand) {
		b := &bucket{now: map[string]PresenceChange{}, gone: map[string]bool{"o": true}}
		for range random.IntN(40) {
			b.write(random, 1)
		}
		want := b.members()
		for range 5 {
			r := newPresenceSet(b.nodes())
			for _, i := range random.Perm(len(b.feed)) {
				r.change(b.feed[i])
			}
			r.finish(0, nil)
			diff, _ := r.diff("app:x")
			told := map[string]string{}
			follow(t, told, diff)
			if !maps.Equal(told, want) {
				t.Errorf("told %v, there are %v", told, want)
			}
			for _, m := range r.list(nil) {
				if !json.Valid(m.Meta) {
					t.Errorf("what is %q?", m.Meta)
				}
			}
		}
	})
}
