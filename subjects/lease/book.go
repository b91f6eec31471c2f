package lease

import (
	"time"

	"github.com/latido/latido/subjects/topology"
)

// Change is what became of a node.
type Change int

// Changes.
const (
	Here   Change = iota // it is there, as it was not before
	Lost                 // it was not heard any longer
	Parted               // it gave its lease back
)

type changed struct {
	node   string
	change Change
}

// book is what is known of the other nodes. It does no I/O and reads no clock.
type book struct {
	self  string
	doubt bool
	nodes map[string]*holder // those that are there

	began   time.Time // our first renewal came back
	last    time.Time // our last one
	told    time.Time // the server's time of the renewal that came back with the least delay lately
	toldAt  time.Time // when that came back
	settled time.Time // when everybody could have been heard after our clock stood still
}

// holder is another node that holds a lease.
type holder struct {
	heard  time.Time
	parted bool
}

func newBook(self string, doubt bool) book {
	return book{self: self, doubt: doubt, nodes: make(map[string]*holder)}
}

// heard takes a renewal of another node.
func (b *book) heard(node string, now time.Time) []changed {
	if known := b.nodes[node]; known != nil {
		*known = holder{heard: now}
		return nil
	}
	b.nodes[node] = &holder{heard: now}
	return []changed{{node, Here}}
}

// returned notes that a node gave its lease back. It stays for the length of a
// lease: what it said of its sessions at last may come later.
func (b *book) returned(node string) {
	if known := b.nodes[node]; known != nil {
		known.parted = true
	}
}

// parted tells that a node is there no longer but for what it may have said at last.
func (b *book) parted(node string) bool {
	known := b.nodes[node]
	return known != nil && known.parted
}

// steady is for how long the server's time, once told, is believed to go on as ours.
const steady = 30 * time.Second

// tick takes a renewal of ours: it is time to judge, unless our clock stood still.
func (b *book) tick(now, server time.Time) (changes []changed) {
	if b.began.IsZero() {
		b.began = now
	} else if !b.fresh(now) {
		b.settled = now.Add(topology.LeaseTTL)
		for _, known := range b.nodes {
			known.heard = now
		}
	}
	b.last = now
	// One that was delivered late would have the server's clock seem to lag.
	if b.told.IsZero() || !server.Before(b.server(now)) || now.Sub(b.toldAt) > steady {
		b.told, b.toldAt = server, now
	}
	for node, known := range b.nodes {
		if now.Sub(known.heard) < topology.LeaseTTL {
			continue
		}
		delete(b.nodes, node)
		change := Lost
		if known.parted {
			change = Parted
		}
		changes = append(changes, changed{node, change})
	}
	return changes
}

// fresh tells that our renewals come back. The wall's clock is asked, too: the
// other may stand still while the machine is suspended.
func (b *book) fresh(now time.Time) bool {
	away := max(now.Sub(b.last), now.Round(0).Sub(b.last.Round(0)))
	return !b.last.IsZero() && away <= patience
}

// due is how long the next renewal has time.
func (b *book) due(now time.Time) time.Duration {
	due := refresh
	for _, known := range b.nodes {
		due = min(due, known.heard.Add(topology.LeaseTTL).Sub(now))
	}
	return max(due, 0)
}

func (b *book) here(node string, now time.Time) bool {
	if _, known := b.nodes[node]; known {
		return true
	}
	if b.doubt && (b.began.IsZero() || now.Before(b.began.Add(topology.LeaseTTL))) {
		b.nodes[node] = &holder{heard: now}
		return true
	}
	return false
}

func (b *book) over(at, now time.Time) bool {
	return b.fresh(now) && !now.Before(at) && !now.Before(b.settled)
}

// server is the server's time. Before a renewal of ours told it, it is as long ago
// as possible, so that nothing seems old.
func (b *book) server(now time.Time) time.Time {
	if b.told.IsZero() {
		return time.Time{}
	}
	return b.told.Add(now.Sub(b.toldAt))
}
