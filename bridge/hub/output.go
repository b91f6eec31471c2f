package hub

// output is what a flusher is about to write to one session: pieces that are
// shared with other sessions.
type output struct {
	pieces [][]byte
	size   int
}

func (o *output) add(piece []byte) {
	if len(piece) > 0 {
		o.pieces = append(o.pieces, piece)
		o.size += len(piece)
	}
}

// full says that one write's worth is there.
func (o *output) full() bool { return o.size >= chunkBytes }

// join returns the output as one piece: the piece itself when there is but one,
// or a copy in scratch.
func (o *output) join(scratch []byte) (joined, buffer []byte) {
	if len(o.pieces) == 1 {
		return o.pieces[0], scratch
	}
	scratch = scratch[:0]
	for _, piece := range o.pieces {
		scratch = append(scratch, piece...)
	}
	return scratch, scratch
}

func (o *output) reset() {
	clear(o.pieces)
	o.pieces, o.size = o.pieces[:0], 0
}
