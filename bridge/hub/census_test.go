package hub

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/bridge/wire"
)

// Of a difference only what came of it counts: who left one session and took up
// another was there all the time, under each key of theirs likewise.
func TestTurnover(t *testing.T) {
	t.Parallel()
	r := newPresenceSet(&nodes{})
	r.finish(0, nil)
	sequence := uint64(0)
	say := func(ref, user, key string) {
		sequence++
		said := at(ref, "n", sequence, "1")
		said.Entry.Value.User, said.Entry.Value.Key = user, key
		if user == "" {
			said.Entry.Left = true
		}
		r.apply(said)
	}
	expect := func(cameUsers, wentUsers, cameKeys, wentKeys []string) {
		t.Helper()
		diff, _ := r.diff("app:1")
		if !slices.Equal(diff.Users.Came, cameUsers) || !slices.Equal(diff.Users.Went, wentUsers) ||
			!slices.Equal(diff.Keys.Came, cameKeys) || !slices.Equal(diff.Keys.Went, wentKeys) {
			t.Errorf("%+v %+v", diff.Users, diff.Keys)
		}
	}
	say("1", "ana", "desk")
	say("2", "ana", "")
	expect([]string{"ana"}, nil, []string{"2", "desk"}, nil)
	say("1", "", "")
	say("3", "ana", "desk")
	expect(nil, nil, nil, nil)
	say("3", "ana", "sofa")
	expect(nil, nil, []string{"sofa"}, []string{"desk"})
	say("3", "", "")
	expect(nil, nil, nil, []string{"sofa"})
	say("2", "", "")
	say("4", "luis", "2")
	expect([]string{"luis"}, []string{"ana"}, nil, nil)
	say("4", "", "")
	expect(nil, []string{"luis"}, nil, []string{"2"})
	if len(r.census.users.now)+len(r.census.keys.now) > 0 {
		t.Errorf("still counted: %+v", r.census)
	}
}

// What continues a long state says who comes first with it.
func TestTurnoverOfAState(t *testing.T) {
	t.Parallel()
	r := newPresenceSet(&nodes{})
	r.finish(0, nil)
	for i := range 2*statePage + 10 { // everybody is there twice, far apart
		user := fmt.Sprintf("u%03d", i%(statePage+5))
		said := at(fmt.Sprintf("%s-%d", user, i), "n", uint64(i+1), "1")
		said.Entry.Value.User, said.Entry.Value.Since = user, time.Unix(int64(i), 0)
		r.apply(said)
	}
	r.diff("app:1")
	told := map[string]int{}
	r.state("app:1", recorded)
	for _, notice := range recording.notices {
		switch n := notice.(type) {
		case wire.State:
			for _, m := range n.Members {
				told[m.User]++
			}
		case wire.Diff:
			for _, user := range n.Users.Came {
				told[user]++
			}
		}
	}
	for user, times := range told {
		if times != 1 {
			t.Errorf("%s came first %d times", user, times)
		}
	}
	if len(told) != statePage+5 {
		t.Errorf("told of %d users, want %d", len(told), statePage+5)
	}
}

// recorder keeps what is told, and says nothing.
type recorder struct{ notices []wire.Notice }

func (r *recorder) Encode(_ []byte, notice wire.Notice, _ func([]byte, bool)) {
	r.notices = append(r.notices, notice)
}

// recorded is the view of one test, which finds in recording what it was told.
var (
	recording recorder
	recorded  = NewView(&recording, Plain)
)
