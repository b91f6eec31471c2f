package count

// Receipt is what one subscriber has of a channel whose messages are numbered
// from 0. In order it costs a comparison; holes are remembered as ranges, so that
// a message that comes late is told from one that comes twice. The zero value has
// received nothing.
type Receipt struct {
	next  uint32 // one above the highest number that came
	holes []hole // below next, ascending
	twice uint64
	late  uint64
}

// hole is a range of numbers that have not come.
type hole struct{ from, to uint32 }

// Note notes that a message came.
func (r *Receipt) Note(number uint32) {
	if number == r.next {
		r.next++
		return
	}
	r.disorder(number)
}

func (r *Receipt) disorder(number uint32) {
	if number > r.next {
		r.holes = append(r.holes, hole{r.next, number})
		r.next = number + 1
		return
	}
	for i, h := range r.holes {
		if number < h.from || number >= h.to {
			continue
		}
		r.late++
		var left []hole
		if h.from < number {
			left = append(left, hole{h.from, number})
		}
		if number+1 < h.to {
			left = append(left, hole{number + 1, h.to})
		}
		r.holes = append(r.holes[:i:i], append(left, r.holes[i+1:]...)...)
		return
	}
	r.twice++
}

// Lost is how many of the first published messages have not come.
func (r *Receipt) Lost(published uint32) uint64 {
	var lost uint64
	if published > r.next {
		lost = uint64(published - r.next)
	}
	for _, h := range r.holes {
		if h.from < published {
			lost += uint64(min(h.to, published) - h.from)
		}
	}
	return lost
}

// Twice is how many came again.
func (r *Receipt) Twice() uint64 { return r.twice }

// Late is how many came after one with a higher number.
func (r *Receipt) Late() uint64 { return r.late }

// Next is one above the highest number that came.
func (r *Receipt) Next() uint32 { return r.next }
