package bridge

import "fmt"

// judge lets everything come to rest and compares what each reader was told with
// what it may be told.
func (m *model) judge() {
	m.note("judge")
	m.whole()
	// A stream that grows while it is compared may have a loss look proven, and then not.
	wait(m.t, "every channel to be whole", func() bool { return m.bridge.node.Hub.Settle(m.t.Context()) == nil })
	last := map[string]modelFact{}
	for _, user := range m.users {
		m.say(user, false)
		last["user:"+user] = m.past[len(m.past)-1]
	}
	m.look()
	for i, r := range m.readers {
		if r.conn == nil {
			continue
		}
		wait(m.t, fmt.Sprintf("reader %d of %s to hear %d", i, r.name, last[r.channel].seq), func() bool { return r.heard(last[r.channel]) })
		for _, wrong := range r.judge() {
			m.t.Errorf("reader %d of %s: %s", i, r.name, wrong)
		}
	}
}

func (r *modelReader) heard(f modelFact) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[f.seq] == f.n
}

func (r *modelReader) judge() (wrong []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wrong, r.wrong = r.wrong, nil
	stored := make(map[uint64]modelFact)
	for _, f := range r.m.past {
		stored[f.seq] = f
	}
	unknown := r.unprovable(stored)
	moot := max(unknown, r.moot())
	for _, f := range r.m.past {
		if f.seq <= unknown || f.gone > 0 && f.seq <= moot || f.channel != r.channel || f.seq <= r.start || r.told[f.seq] == f.n || f.gone > 0 && f.gone <= r.reset || r.covered(f.seq) {
			continue
		}
		wrong = append(wrong, fmt.Sprintf("%d was neither told nor missed: gone %d, begun at %d in step %d", f.seq, f.gone, r.start, r.reset))
	}
	for seq, n := range r.told {
		if f := stored[seq]; seq > moot && (f.n != n || f.channel != r.channel) {
			wrong = append(wrong, fmt.Sprintf("%d says %d, but %v is stored", seq, n, f))
		}
	}
	for _, g := range r.fresh {
		if r.breaks == r.m.breaks && !r.justified(g, stored) {
			wrong = append(wrong, fmt.Sprintf("nothing is missing in the gap %d to %d", g.From, g.To))
		}
	}
	if r.anew > r.m.breaks {
		wrong = append(wrong, fmt.Sprintf("began anew %d times in %d other pasts", r.anew, r.m.breaks))
	}
	r.fresh, r.breaks = nil, r.m.breaks
	return wrong
}

// unprovable is up to where nobody could know that the reader was in another past:
// the message at its place when the tail was lost, or before a gap, was removed.
func (r *modelReader) unprovable(stored map[uint64]modelFact) (sequence uint64) {
	if stored[r.held].gone > 0 {
		sequence = r.held
	}
	for _, g := range r.gaps {
		if f, ok := stored[g.place]; r.m.breaks > 0 && (!ok || f.gone > 0) {
			sequence = max(sequence, g.place)
		}
	}
	return sequence
}

// moot is up to where a gap has told the reader that it may have been in another
// past, although it goes on behind what it had: all before that place is gone.
func (r *modelReader) moot() (sequence uint64) {
	for _, g := range r.gaps {
		if r.m.breaks > 0 && g.step >= r.m.broken {
			sequence = max(sequence, g.place)
		}
	}
	return sequence
}

func (r *modelReader) covered(seq uint64) bool {
	for _, g := range r.gaps {
		if g.From <= seq && seq <= g.To {
			return true
		}
	}
	return false
}

// justified says whether a gap misses something, or nobody could know that it does
// not: no fact is left of those that the reader had.
func (r *modelReader) justified(g modelGap, stored map[uint64]modelFact) bool {
	for seq := g.From; seq <= g.To; seq++ {
		if f, ok := stored[seq]; ok && f.channel == r.channel && f.gone > 0 && r.told[seq] == 0 {
			return true
		}
	}
	for _, f := range stored {
		if f.channel == r.channel && f.seq < g.From && f.gone == 0 {
			return false
		}
	}
	return true
}
