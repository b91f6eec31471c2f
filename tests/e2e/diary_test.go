package e2e

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
)

// diary keeps what was written about each user's presence, so that a flicker can
// be told apart: was it in the bucket, or only in what a bridge made of it?
type diary struct {
	mu      sync.Mutex
	entries map[string][]string // by user
}

func (w *world) keepDiary() *diary {
	w.t.Helper()
	d := &diary{entries: map[string][]string{}}
	if _, err := w.nc.Subscribe(subjects.FeedPresence+">", d.write); err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (d *diary) write(msg *nats.Msg) {
	node, seat, err := subjects.ParsePresenceKey(strings.TrimPrefix(msg.Subject, subjects.FeedPresence))
	if err != nil {
		return
	}
	_, user, ref, err := subjects.ParseSeat(seat)
	if err != nil {
		return
	}
	entry := fmt.Sprintf("%s %s %s %s %s", time.Now().Format("05.000"), node, ref, msg.Header.Get("KV-Operation"), msg.Data)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries[user] = append(d.entries[user], entry)
}

func (d *diary) of(user string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.entries[user], "\n")
}
