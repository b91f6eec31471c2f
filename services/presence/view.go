package presence

import (
	"encoding/json"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
)

// view folds the buckets "presence", "nodes" and "members" and the facts of users
// to who is there, as what, in which groups, and to the nodes that are not there
// any more. It does no I/O and reads no clock.
type view struct {
	timing timing
	began  time.Time

	mu       sync.Mutex
	sessions map[string]session // by key
	people   map[string]*person
	nodes    map[string]map[string]uint64 // node → its sessions' keys and revisions
	alive    map[string]bool              // nodes with a lease
	deadline map[string]time.Time         // nodes without one, and when they count as dead
	lost     map[string]bool              // nodes that were found dead with sessions of theirs
	members  uint64                       // the revision up to which all groups are known
	grouped  uint64                       // the newest revision seen of a group

	counts *counts // nil until the snapshot is whole
	later  *counts
}

// person is what is known of a user.
type person struct {
	sessions map[string]session // by key
	seen     time.Time          // when the sessions changed last, by the server's clock
	state    User
	facts    uint64 // sequence of the last fact in state
	groups   map[string]bool
	cards    map[string]posted // as they stand, by key
}

// session is one entry of the bucket "presence" that a bridge wrote.
type session struct {
	user, ref string
	node      string // "" while no node holds it and it waits for its return
	name      string
	device    string // its kind, on the user's own channel
	since     time.Time
	about     about
}

// about is the meta of a device.
type about struct {
	Activity   string    `json:"activity"`
	LastActive time.Time `json:"last_active"`
	Avatar     string    `json:"avatar"`
}

func newView(t timing, now time.Time, c *counts) *view {
	return &view{
		timing: t, began: now, later: c,
		sessions: make(map[string]session), people: make(map[string]*person),
		nodes: make(map[string]map[string]uint64), alive: make(map[string]bool),
		deadline: make(map[string]time.Time), lost: make(map[string]bool),
	}
}

// person finds or begins what is known of a user.
func (v *view) person(user string) *person {
	p := v.people[user]
	if p == nil {
		p = &person{sessions: make(map[string]session), groups: make(map[string]bool), cards: make(map[string]posted)}
		v.people[user] = p
	}
	return p
}

// everyone lists the users of whom something is known.
func (v *view) everyone() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	users := make([]string, 0, len(v.people))
	for user := range v.people {
		users = append(users, user)
	}
	return users
}

// session takes a change of the bucket "presence" in, and returns whom it
// concerns.
func (v *view) session(entry jetstream.KeyValueEntry, now time.Time) (user string) {
	channel, user, ref, err := subjects.ParsePresence(entry.Key())
	if err != nil {
		return "" // nobody's session
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, reserved := subjects.ReservedTopic(channel); reserved {
		v.card(entry, user)
		return user
	}
	p := v.person(user)
	before, was := v.sessions[entry.Key()]
	is := entry.Operation() == jetstream.KeyValuePut
	v.count(before, was, is)
	v.remove(entry.Key())
	p.seen = entry.Created()
	if is {
		s := session{user: user, ref: ref}
		s.read(entry.Value(), channel == subjects.Channel{Kind: "user", ID: user})
		v.add(entry.Key(), s, entry.Revision(), now)
	}
	return user
}

// read takes what a bridge wrote; an odd entry is of no node and no device.
func (s *session) read(value []byte, own bool) {
	var written struct {
		Node   string          `json:"node"`
		Name   string          `json:"name"`
		Device string          `json:"device"`
		Since  time.Time       `json:"since"`
		Meta   json.RawMessage `json:"meta"`
	}
	if json.Unmarshal(value, &written) != nil {
		return
	}
	s.node, s.name, s.since = written.Node, written.Name, written.Since
	if own && json.Unmarshal(written.Meta, &s.about) == nil {
		s.device = written.Device
	}
}

func (v *view) add(key string, s session, revision uint64, now time.Time) {
	v.sessions[key] = s
	v.person(s.user).sessions[key] = s
	if s.node == "" {
		return
	}
	if v.nodes[s.node] == nil {
		v.nodes[s.node] = make(map[string]uint64)
	}
	v.nodes[s.node][key] = revision
	if _, counting := v.deadline[s.node]; !counting && !v.alive[s.node] {
		v.deadline[s.node] = now.Add(v.timing.settle)
	}
}

func (v *view) remove(key string) {
	s, known := v.sessions[key]
	if !known {
		return
	}
	delete(v.sessions, key)
	delete(v.person(s.user).sessions, key)
	if delete(v.nodes[s.node], key); len(v.nodes[s.node]) == 0 {
		delete(v.nodes, s.node)
	}
}

// member takes a change of a group's members in, and returns whom it concerns.
func (v *view) member(entry jetstream.KeyValueEntry) (user string) {
	channel, user, err := subjects.ParseMember(entry.Key())
	if err != nil {
		return ""
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.grouped = max(v.grouped, entry.Revision())
	v.members = max(v.members, v.grouped)
	if entry.Operation() == jetstream.KeyValuePut {
		v.person(user).groups[channel.ID] = true
	} else {
		delete(v.person(user).groups, channel.ID)
	}
	return user
}

// fact takes the state after a fact in, and returns whom it concerns.
func (v *view) fact(s es.Snapshot[User]) (user string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	p := v.person(s.Channel.ID)
	p.state, p.facts = s.State, s.Seq
	return s.Channel.ID
}

// lease takes a change of the bucket "nodes" in. A node that loses its lease is
// given time to return; so are all when the view is young, because the bus may
// have been away and the leases with it.
func (v *view) lease(entry jetstream.KeyValueEntry, now time.Time) {
	node, err := subjects.ParseToken(entry.Key())
	if err != nil {
		return // nobody's lease
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if entry.Operation() == jetstream.KeyValuePut {
		v.alive[node] = true
		delete(v.deadline, node)
		delete(v.lost, node)
		return
	}
	delete(v.alive, node)
	v.deadline[node] = now.Add(v.timing.returning)
	if settled := v.began.Add(v.timing.settle); settled.After(v.deadline[node]) {
		v.deadline[node] = settled
	}
}

// dead returns the sessions, with their revisions, of nodes that did not return.
func (v *view) dead(now time.Time) map[string]uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	dead := make(map[string]uint64)
	for node, deadline := range v.deadline {
		if now.Before(deadline) {
			continue
		}
		if len(v.nodes[node]) == 0 {
			delete(v.deadline, node)
			continue
		}
		maps.Copy(dead, v.nodes[node])
		if !v.lost[node] && v.counts != nil {
			v.counts.leasesLost.Add(1)
		}
		v.lost[node] = true
	}
	return dead
}
