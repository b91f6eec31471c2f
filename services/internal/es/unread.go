package es

import (
	"log/slog"
	"sync"
	"sync/atomic"
)

// unreadKept bounds the sequences that are known to have been logged; then some may be
// logged and counted again.
const unreadKept = 10_000

// unread has each fact of a kind that cannot be read logged and counted once. Anybody
// who may write to the stream may have stored it: it tells nothing, and all goes on.
type unread struct {
	log   *slog.Logger
	count atomic.Int64

	mu    sync.Mutex
	known map[uint64]struct{} // by sequence
}

func (u *unread) note(subject string, seq uint64, cause error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.known[seq]; known {
		return
	}
	if u.known == nil || len(u.known) == unreadKept {
		u.known = make(map[uint64]struct{})
	}
	u.known[seq] = struct{}{}
	u.count.Add(1)
	u.log.Warn("skip a fact that cannot be read", "subject", subject, "seq", seq, "cause", cause)
}
