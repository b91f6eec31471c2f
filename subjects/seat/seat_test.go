package seat

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

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
	if wait := time.Until(late(2 * time.Minute).Until); wait > -59*time.Second {
		t.Errorf("one that was over a minute ago ends in %v", wait)
	}
	next, news := s.Expire(func(time.Time) bool { return false })
	if news || !next.Equal(s[0].Until) || s.Vacant() {
		t.Errorf("before its end: %v, %v", next, news)
	}
	if _, news := s.Expire(func(time.Time) bool { return true }); !news || !s.Vacant() {
		t.Errorf("after its end: %+v", s)
	}
}

func TestATimeToLiveIsInWholeSeconds(t *testing.T) {
	t.Parallel()
	if got := Leave("k", 1500*time.Millisecond).Header.Get("Nats-TTL"); got != "62" {
		t.Errorf("time to live %s, want a minute more than the grace, rounded up", got)
	}
}

// A grace that was over before it was read is not waited for anew: a snapshot
// finds the entry until it is removed.
func TestReadLate(t *testing.T) {
	t.Parallel()
	for age, left := range map[time.Duration]bool{0: false, 9 * time.Second: false, 10 * time.Second: true, time.Minute: true} {
		if e := Read[Grace]("a", 2, nats.Header{}, []byte(`{"grace":10}`), age); e.Left != left {
			t.Errorf("after %s: left is %v", age, e.Left)
		}
	}
}
