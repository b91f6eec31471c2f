package hub

// chunkBytes is where a chunk, and what one write takes, ends.
const chunkBytes = 64 << 10

// chunk is a run of a ring's entries as one piece of bytes, joined once for all
// cursors that stand at the same position.
type chunk struct {
	view     View
	presence bool
	from, to uint64 // positions
	last     uint64 // newest fact within, or 0
	bytes    []byte
}

// chunk returns the joined frames from a position on.
func (s *state) chunk(v View, from uint64, presence bool) chunk {
	for _, known := range s.chunks {
		if known.view == v && known.from == from && known.presence == presence {
			return known
		}
	}
	fresh := s.join(v, from, presence)
	if len(s.chunks) >= chunksKept {
		s.chunks = s.chunks[:0]
	}
	s.chunks = append(s.chunks, fresh)
	return fresh
}

// chunksKept is how many joined chunks a channel remembers between two appends:
// cursors stand at few different positions.
const chunksKept = 8

func (s *state) join(v View, from uint64, presence bool) chunk {
	joined := chunk{view: v, presence: presence, from: from, to: from}
	var frames [][]byte
	size := 0
	for joined.to < s.ring.head() && size < chunkBytes {
		e := s.ring.get(joined.to)
		if !e.presence || presence {
			frame := e.frame(v)
			frames = append(frames, frame)
			size += len(frame)
		}
		joined.last = max(joined.last, e.sequence)
		joined.to++
	}
	if len(frames) == 1 {
		joined.bytes = frames[0]
		return joined
	}
	joined.bytes = make([]byte, 0, size)
	for _, frame := range frames {
		joined.bytes = append(joined.bytes, frame...)
	}
	return joined
}
