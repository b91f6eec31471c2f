package presence

import (
	"encoding/json"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// view folds the buckets "presence" and "nodes" to who is there, and to the
// nodes that are not there any more. It does no I/O and reads no clock.
type view struct {
	timing   timing
	began    time.Time
	sessions map[string]session           // by key
	users    map[string]int               // sessions of each user
	nodes    map[string]map[string]uint64 // node → its sessions' keys and revisions
	alive    map[string]bool              // nodes with a lease
	deadline map[string]time.Time         // nodes without one, and when they count as dead
}

type session struct {
	user string
	node string // "" while no node holds it and it waits for its return
}

func newView(t timing, now time.Time) *view {
	return &view{
		timing: t, began: now,
		sessions: make(map[string]session), users: make(map[string]int),
		nodes: make(map[string]map[string]uint64), alive: make(map[string]bool),
		deadline: make(map[string]time.Time),
	}
}

// session takes a change of the bucket "presence" in. It reports the user whose
// first session came or whose last one went.
func (v *view) session(entry jetstream.KeyValueEntry, now time.Time) (user string, changed bool) {
	key := entry.Key()
	_, user, _, err := subjects.ParsePresence(key)
	if err != nil {
		return "", false // nobody's session
	}
	before := v.users[user]
	v.remove(key)
	if entry.Operation() == jetstream.KeyValuePut {
		var value struct {
			Node string `json:"node"`
		}
		_ = json.Unmarshal(entry.Value(), &value) // an odd entry is of no node
		v.add(key, session{user: user, node: value.Node}, entry.Revision(), now)
	}
	return user, (before > 0) != v.online(user)
}

func (v *view) online(user string) bool { return v.users[user] > 0 }

func (v *view) add(key string, s session, revision uint64, now time.Time) {
	v.sessions[key] = s
	v.users[s.user]++
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
	if v.users[s.user]--; v.users[s.user] == 0 {
		delete(v.users, s.user)
	}
	if delete(v.nodes[s.node], key); len(v.nodes[s.node]) == 0 {
		delete(v.nodes, s.node)
	}
}

// lease takes a change of the bucket "nodes" in. A node that loses its lease is
// given time to return; so are all when the view is young, because the bus may
// have been away and the leases with it.
func (v *view) lease(entry jetstream.KeyValueEntry, now time.Time) {
	node := entry.Key()
	if entry.Operation() == jetstream.KeyValuePut {
		v.alive[node] = true
		delete(v.deadline, node)
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
	dead := make(map[string]uint64)
	for node, deadline := range v.deadline {
		if now.Before(deadline) {
			continue
		}
		maps.Copy(dead, v.nodes[node])
		if len(v.nodes[node]) == 0 {
			delete(v.deadline, node)
		}
	}
	return dead
}
