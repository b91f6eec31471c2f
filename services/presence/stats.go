package presence

import "sync/atomic"

// counts are what an operator sees of sessions, since this process began. Each
// replica counts all of them.
type counts struct {
	joins, leaves, expiries, leasesLost atomic.Int64
}

// counting has the changes from now on counted: those before were the snapshot.
func (v *view) counting() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.counts = v.later
}

// count counts a session that came or went. The lock is held.
func (v *view) count(was, is bool) {
	switch {
	case is && !was:
		v.shown++
	case was && !is:
		v.shown--
	}
	switch {
	case v.counts == nil:
	case is && !was:
		v.counts.joins.Add(1)
	case was && !is:
		v.counts.leaves.Add(1)
	}
}

// stats is what there is now, and what has been counted.
func (k *watcher) stats() map[string]int64 {
	stats := map[string]int64{
		"joins": k.counts.joins.Load(), "leaves": k.counts.leaves.Load(),
		"expiries": k.counts.expiries.Load(), "leases_lost": k.counts.leasesLost.Load(),
	}
	v := k.newest.Load()
	if v == nil {
		return stats
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	stats["sessions"], stats["nodes"] = int64(v.shown), int64(k.leases.Count())
	for _, p := range v.people {
		if len(p.sessions) > 0 {
			stats["users"]++
		}
		for _, card := range p.cards {
			if !card.removed {
				stats["cards"]++
			}
		}
	}
	return stats
}
