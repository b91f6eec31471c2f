package session

import (
	"sync"

	"github.com/latido/latido/schemas"
)

// registry holds the sessions of this node, and how many each user has.
type registry struct {
	limits  Limits
	metrics *metrics

	mu       sync.Mutex
	sessions map[*session]struct{}
	byRef    map[string]*session
	users    map[string]int // sessions of each
}

func newRegistry(limits Limits, m *metrics) *registry {
	return &registry{
		limits: limits, metrics: m, sessions: make(map[*session]struct{}),
		byRef: make(map[string]*session), users: make(map[string]int),
	}
}

// open counts a connection before it said who it is.
func (r *registry) open(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s] = struct{}{}
	r.metrics.sessions.Inc()
}

// add counts a session to its user, unless the user has too many. It returns the
// session that this one continues, if it is still there: that one counts no more,
// so that who has as many as allowed can come back before a dead one is noticed.
func (r *registry) add(s *session) (replaced *session, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	replaced = r.byRef[s.ref]
	switch {
	case replaced != nil && replaced.counted && replaced.user == s.user:
		replaced.counted = false
	case r.users[s.user] >= r.limits.Sessions:
		return nil, schemas.Refuse(schemas.TooManySessions, "at most %d sessions per user and node", r.limits.Sessions)
	default:
		r.users[s.user]++
	}
	if replaced != nil { // this node knows which is the newer one, whatever its clock does
		s.generation = max(s.generation, replaced.generation+1)
	}
	s.counted = true
	r.byRef[s.ref] = s
	return replaced, nil
}

func (r *registry) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, here := r.sessions[s]; !here {
		return
	}
	delete(r.sessions, s)
	r.metrics.sessions.Dec()
	if s.counted {
		if r.users[s.user]--; r.users[s.user] == 0 {
			delete(r.users, s.user)
		}
	}
	if r.byRef[s.ref] == s {
		delete(r.byRef, s.ref)
	}
}

func (r *registry) find(ref string) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byRef[ref]
}

func (r *registry) all() []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	sessions := make([]*session, 0, len(r.sessions))
	for s := range r.sessions {
		sessions = append(sessions, s)
	}
	return sessions
}
