package floor

import "slices"

// mostKept bounds what a room keeps for those who come later.
const mostKept = 1 << 20

// mostIdle is the largest buffer that an idle connection holds on to.
const mostIdle = 4 << 10

// room is what connections follow.
type room struct {
	members []*connection
	fresh   []byte // frames that came since the last flush
	kept    []byte
}

func (s *Server) room(number uint32) *room {
	known, ok := s.rooms[number]
	if !ok {
		known = new(room)
		s.rooms[number] = known
	}
	return known
}

func (r *room) keep(frame []byte) {
	if len(r.kept)+len(frame) <= mostKept {
		r.kept = append(r.kept, frame...)
	}
}

// flush writes what is new: one write for each subscriber of a room, and one for
// each connection with answers.
func (s *Server) flush() {
	for _, room := range s.dirty {
		s.flushRoom(room)
	}
	s.dirty = s.dirty[:0]
	for i, c := range s.answered {
		s.write(c, c.answers)
		if c.answers = c.answers[:0]; cap(c.answers) > mostIdle {
			c.answers = nil
		}
		s.answered[i] = nil
	}
	s.answered = s.answered[:0]
}

func (s *Server) flushRoom(r *room) {
	if len(r.fresh) == 0 {
		return
	}
	gone := false
	for _, c := range r.members {
		s.write(c, r.fresh)
		gone = gone || c.gone
	}
	if gone {
		r.members = slices.DeleteFunc(r.members, func(c *connection) bool { return c.gone })
	}
	r.fresh = r.fresh[:0]
}
