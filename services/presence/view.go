package presence

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/seat"
)

// view folds the buckets "presence" and "members" and the facts of users to who is
// there, as what and in which groups. It does no I/O and reads no clock.
type view struct {
	leases seat.Nodes

	mu      sync.Mutex
	seats   map[string]seat.Seat[session]
	nodes   map[string]map[string]struct{} // the seats of which a node says something
	waiting map[string]time.Time           // seats of which somebody may come back, until when
	people  map[string]*person
	shown   int    // sessions that are there
	members uint64 // the revision up to which all groups are known
	grouped uint64 // the newest revision seen of a group

	counts *counts // nil until the snapshot is whole
	later  *counts
}

// person is what is known of a user.
type person struct {
	sessions map[string]session // that are there, by seat
	seen     time.Time          // when the sessions changed last, by the server's clock
	state    User
	facts    uint64 // sequence of the last fact in state
	groups   map[string]bool
	cards    map[string]posted // as they stand, by key
}

// session is what matters of an entry that a bridge wrote.
type session struct {
	User, Ref string
	Name      string
	Device    string // its kind, on the user's own channel
	Since     time.Time
	About     presence.About
	grace     time.Duration
}

// Waits makes a [seat.Value] of it.
func (s session) Waits() time.Duration { return s.grace }

// UnmarshalJSON reads the value of an entry.
func (s *session) UnmarshalJSON(value []byte) error {
	var e presence.Entry
	if err := json.Unmarshal(value, &e); err != nil {
		return err
	}
	*s = session{Name: e.Name, Device: e.Device, Since: e.Since, grace: e.Waits()}
	if json.Unmarshal(e.Meta, &s.About) != nil {
		s.About = presence.About{} // other members may say anything
	}
	return nil
}

func newView(leases seat.Nodes, c *counts) *view {
	return &view{
		leases: leases, later: c, seats: make(map[string]seat.Seat[session]), nodes: make(map[string]map[string]struct{}),
		waiting: make(map[string]time.Time), people: make(map[string]*person),
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
func (v *view) session(c change) (user string) {
	node, name, err := subjects.ParsePresenceKey(c.key)
	if err != nil {
		return ""
	}
	channel, user, ref, err := subjects.ParseSeat(name)
	if err != nil {
		return "" // nobody's session
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, reserved := subjects.ReservedTopic(channel); reserved {
		if node == subjects.NodePresence {
			v.card(c, user)
		}
		return user
	}
	e := seat.Read[session](node, c.revision, c.header, c.value, c.age)
	e.Value.User, e.Value.Ref = user, ref
	if channel != (subjects.Channel{Kind: "user", ID: user}) {
		e.Value.Device, e.Value.About = "", presence.About{}
	}
	taken, news := v.seats[name].Take(e)
	if !news {
		return ""
	}
	if v.nodes[node] == nil {
		v.nodes[node] = make(map[string]struct{})
	}
	v.nodes[node][name] = struct{}{}
	taken.End(seat.Entry[session].Ended, v.leases)
	v.put(name, taken)
	v.person(user).seen = c.at
	v.show(name, user)
	return user
}

// put keeps a seat that has changed, or forgets it when nobody is there. The lock is
// held.
func (v *view) put(name string, s seat.Seat[session]) {
	if next := s.Next(); next.IsZero() {
		delete(v.waiting, name)
	} else {
		v.waiting[name] = next
	}
	if !s.Vacant() {
		v.seats[name] = s
		return
	}
	delete(v.seats, name)
	for _, e := range s {
		if delete(v.nodes[e.Node], name); len(v.nodes[e.Node]) == 0 {
			delete(v.nodes, e.Node)
		}
	}
}

// show looks at who sits on a seat now. The lock is held.
func (v *view) show(name, user string) (news bool) {
	p := v.person(user)
	_, was := p.sessions[name]
	shown, is := v.seats[name].Shown(v.leases.Here)
	if is {
		p.sessions[name] = shown.Value
	} else {
		delete(p.sessions, name)
	}
	v.count(was, is)
	return was != is
}

// review looks again at whom a node says something of, after it was lost or came
// back, and returns whom that concerns.
func (v *view) review(node string, now time.Time) (users []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.nodes[node] {
		users = append(users, v.look(name, now))
	}
	return users
}

// expire has those leave who were waited for in vain by a node that is gone, and
// returns whom that concerns.
func (v *view) expire(now time.Time) (users []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, until := range v.waiting {
		s := v.seats[name]
		if !v.leases.Over(until) || !s.End(seat.Entry[session].Ended, v.leases) {
			continue
		}
		user := v.look(name, now)
		if user != "" && v.counts != nil {
			v.counts.expiries.Add(1)
		}
		v.put(name, s)
		users = append(users, user)
	}
	return users
}

// look looks at a seat again, and returns its user if somebody came or went. The
// lock is held.
func (v *view) look(name string, now time.Time) (user string) {
	_, user, _, err := subjects.ParseSeat(name)
	if err != nil || !v.show(name, user) {
		return ""
	}
	v.person(user).seen = now
	return user
}

// member takes a change of a group's members in, and returns whom it concerns.
func (v *view) member(c change) (user string) {
	channel, user, err := subjects.ParseMember(c.key)
	if err != nil {
		return ""
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.grouped = max(v.grouped, c.revision)
	v.members = max(v.members, v.grouped)
	if c.removed() || subjects.ReadMembership(c.value).Role == "" {
		delete(v.person(user).groups, channel.ID)
	} else {
		v.person(user).groups[channel.ID] = true
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
