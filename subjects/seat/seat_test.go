package seat

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Grace is a value that says nothing else.
type Grace struct {
	Seconds float64 `json:"grace"`
}

func (g Grace) Waits() time.Duration { return time.Duration(g.Seconds * float64(time.Second)) }

// said reads what a node wrote with one of the writers, for a connection.
func said(node string, sequence, generation uint64, msg *nats.Msg) Entry[Grace] {
	SetGeneration(msg, generation)
	return Read[Grace](node, sequence, msg.Header, msg.Data, 0)
}

func held(node string, sequence, generation uint64) Entry[Grace] {
	return said(node, sequence, generation, Hold(node+".k", []byte(`{}`)))
}

func waits(node string, sequence, generation uint64) Entry[Grace] {
	return said(node, sequence, generation, Wait(node+".k", []byte(`{"grace":10}`), sequence-1, 10*time.Second))
}

func left(node string, sequence, generation uint64) Entry[Grace] {
	return said(node, sequence, generation, Leave(node+".k", time.Second))
}

func TestWhoSitsThere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		said []Entry[Grace]
		by   string // the node by whose word; "" is nobody
	}{
		"nobody ever":                   {},
		"who holds":                     {[]Entry[Grace]{held("a", 1, 1)}, "a"},
		"not on a node that is gone":    {[]Entry[Grace]{held("gone", 1, 1)}, ""},
		"who waits":                     {[]Entry[Grace]{held("a", 1, 1), waits("a", 2, 1)}, "a"},
		"who waits, on a node gone":     {[]Entry[Grace]{held("gone", 1, 1), waits("gone", 2, 1)}, "gone"},
		"not who left":                  {[]Entry[Grace]{held("a", 1, 1), left("a", 2, 1)}, ""},
		"who came back elsewhere":       {[]Entry[Grace]{waits("a", 2, 1), held("b", 3, 2)}, "b"},
		"not who said goodbye there":    {[]Entry[Grace]{waits("a", 2, 1), held("b", 3, 2), left("b", 4, 2)}, ""},
		"though the first hears late":   {[]Entry[Grace]{held("a", 1, 1), held("b", 3, 2), left("b", 4, 2), waits("a", 5, 1)}, ""},
		"or never":                      {[]Entry[Grace]{held("a", 1, 1), held("b", 3, 2), left("b", 4, 2)}, ""},
		"who waits there":               {[]Entry[Grace]{held("b", 3, 2), waits("b", 4, 2), left("a", 5, 1)}, "b"},
		"though the first writes late":  {[]Entry[Grace]{held("b", 3, 2), waits("b", 4, 2), waits("a", 6, 1)}, "b"},
		"not by whom a crash hit since": {[]Entry[Grace]{waits("a", 2, 1), held("gone", 3, 2)}, ""},
		"the newest who holds":          {[]Entry[Grace]{held("a", 4, 1), held("b", 2, 2)}, "b"},
		"the last of one moment":        {[]Entry[Grace]{held("a", 1, 1), held("b", 2, 1)}, "b"},
		"whatever comes late":           {[]Entry[Grace]{left("a", 2, 1), held("a", 1, 1)}, ""},
		"not an odd value":              {[]Entry[Grace]{said("a", 1, 1, Hold("a.k", []byte("hello")))}, ""},
	} {
		for turn := range test.said { // in whatever order they come
			var s Seat[Grace]
			for i := range test.said {
				s, _ = s.Take(test.said[(i+turn)%len(test.said)])
			}
			shown, ok := s.Shown(func(node string) bool { return node != "gone" })
			if ok != (test.by != "") || shown.Node != test.by {
				t.Errorf("%s, turned by %d: %q", name, turn, shown.Node)
			}
		}
	}
}

func TestWaitsEndByTheReadersClock(t *testing.T) {
	t.Parallel()
	late := func(age time.Duration) Entry[Grace] {
		return Read[Grace]("a", 2, nats.Header{}, []byte(`{"grace":60.5}`), age)
	}
	s := Seat[Grace]{late(0)}
	if wait := time.Until(s[0].Until); wait <= 0 || wait > 60500*time.Millisecond {
		t.Errorf("a minute and a half second of grace ends in %v", wait)
	}
	if wait := time.Until(late(65 * time.Second).Until); wait > -4*time.Second {
		t.Errorf("one that was over 4.5 s ago ends in %v", wait)
	}
	if next := s.Next(); !next.Equal(s[0].Until) {
		t.Errorf("the next end is at %v", next)
	}
	never := func(Entry[Grace], Nodes) bool { return false }
	if s.End(never, nil) || s.Vacant() {
		t.Errorf("before its end: %+v", s)
	}
	if !s.End(func(Entry[Grace], Nodes) bool { return true }, nil) || !s.Vacant() || !s.Next().IsZero() {
		t.Errorf("after its end: %+v", s)
	}
}

func TestATimeToLiveIsInWholeSeconds(t *testing.T) {
	t.Parallel()
	if got := Leave("k", 1500*time.Millisecond).Header.Get("Nats-TTL"); got != "62" {
		t.Errorf("time to live %s, want a minute more than the grace, rounded up", got)
	}
}

// nodes know whether the one that waits is there, and how long ago the wait was over.
type nodes struct {
	kept bool
	ago  time.Duration
}

func (n nodes) Here(string) bool { return true }

func (n nodes) Keeps(string) bool { return n.kept }

func (n nodes) Over(at time.Time) bool { return !at.After(time.Unix(0, 0).Add(n.ago)) }

// Whose node is there to end a wait is waited for until it does, or the bucket has
// dropped the entry; but nobody new is told of them.
func TestWhoEndsAWait(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		nodes
		ended, overdue bool
	}{
		{nodes{false, -time.Second}, false, false},
		{nodes{false, 0}, true, true},
		{nodes{true, 0}, false, false},
		{nodes{true, Leeway}, false, true},
		{nodes{true, time.Minute}, true, true},
	} {
		e := Entry[Grace]{Node: "a", Until: time.Unix(0, 0)}
		if e.Ended(test.nodes) != test.ended || e.Overdue(test.nodes) != test.overdue {
			t.Errorf("%+v: ended %v, overdue %v", test, e.Ended(test.nodes), e.Overdue(test.nodes))
		}
		if e.Left = true; e.Ended(test.nodes) || e.Overdue(test.nodes) {
			t.Errorf("%+v: one that was left ends again", test)
		}
	}
}

// A grace that was long over before it was read is not waited for anew: a snapshot
// finds the entry until it is removed.
func TestReadLate(t *testing.T) {
	t.Parallel()
	for age, left := range map[time.Duration]bool{0: false, 14 * time.Second: false, 15 * time.Second: true, time.Minute: true} {
		if e := Read[Grace]("a", 2, nats.Header{}, []byte(`{"grace":10}`), age); e.Left != left {
			t.Errorf("after %s: left is %v", age, e.Left)
		}
	}
}
