package e2e

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// presenceLog keeps what was written about each user's presence, so that a flicker can
// be told apart: was it in the bucket, or only in what a bridge made of it?
type presenceLog struct {
	mu      sync.Mutex
	entries map[string][]string // by user
}

func newPresenceLog(s *kit.Stage) *presenceLog {
	s.T.Helper()
	l := &presenceLog{entries: map[string][]string{}}
	_, err := s.NATS.Subscribe(subjects.FeedPresence+">", l.write)
	s.Must(err)
	return l
}

func (l *presenceLog) write(msg *nats.Msg) {
	node, seat, err := subjects.ParsePresenceKey(strings.TrimPrefix(msg.Subject, subjects.FeedPresence))
	if err != nil {
		return
	}
	_, user, ref, err := subjects.ParseSeat(seat)
	if err != nil {
		return
	}
	entry := fmt.Sprintf("%s %s %s %s %s", time.Now().Format("05.000"), node, ref, msg.Header.Get("KV-Operation"), msg.Data)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[user] = append(l.entries[user], entry)
}

func (l *presenceLog) of(user string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.entries[user], "\n")
}
