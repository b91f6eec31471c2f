package soak

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// The channels of everybody. Each pair of friends has a room of its own besides.
const (
	plaza = "room:plaza" // durable, the chat service's
	log   = "log:plaza"  // durable, the app's
	radio = "app:plaza"  // live, and where everybody is shown
)

// settling is how long the last words may take to reach everybody.
const settling = 90 * time.Second

// stage is a running stack with its defaults, and who is on it.
type stage struct {
	*kit.Stage

	talking context.Context // ends when nobody says anything more
	working sync.WaitGroup  // what clients do while there is talking

	mu      sync.Mutex
	players []*player
	sent    []kit.Sent     // acknowledged as stored
	spoken  map[string]int // live events acknowledged, by user
}

// newStage starts a stack with its defaults, but for what keeps it apart from others.
func newStage(t *testing.T) *stage {
	t.Helper()
	duration, err := time.ParseDuration(os.Getenv("LATIDO_SOAK_DURATION"))
	if err != nil {
		t.Skip("LATIDO_SOAK_DURATION says for how long")
	}
	s := &stage{Stage: kit.NewStage(t, kit.Config{Limit: duration + 2*settling}), spoken: map[string]int{}}
	s.Start(stack.Config{Kinds: []string{"log:durable"}, Drain: 10 * time.Second})
	var hush context.CancelFunc
	s.talking, hush = context.WithTimeout(s.Ctx, duration)
	t.Cleanup(func() { hush(); s.working.Wait() })
	return s
}

// player is one client and what it heard live.
type player struct {
	*kit.Client

	kind   string
	slow   bool // reads less than it is told, so that it never hears the last word
	radio  hearing
	stored []string // the durable channels it follows
}

// play adds a client that connects to an address, and is shown where all are.
func (s *stage) play(kind, user, address string) *player {
	s.T.Helper()
	p := &player{kind: kind, radio: hearing{last: map[string]int{}}}
	p.Client = s.Connect(kit.ClientConfig{Who: kit.Identity{User: user}, Bridges: []string{address}, OnEvent: p.radio.take})
	s.players = append(s.players, p)
	s.Must(p.Track(s.Ctx, radio, map[string]string{"as": kind}))
	return p
}

// follow subscribes a player to channels.
func (s *stage) follow(p *player, channels ...string) {
	s.T.Helper()
	for _, channel := range channels {
		s.Must(p.Follow(s.Ctx, channel, kit.FromNow, false))
		if channel == radio {
			p.radio.on.Store(true)
			continue
		}
		p.stored = append(p.stored, channel)
	}
}

// tell publishes once, and writes down what was acknowledged.
func (s *stage) tell(p *player, channel, event string, data any) bool {
	seq, key, err := p.Publish(s.Ctx, channel, event, data)
	if !s.Check(err) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > 0 {
		s.sent = append(s.sent, kit.Sent{User: p.User(), Channel: channel, Key: key, Seq: seq})
	}
	return true
}

// speak says the n-th live word of a player.
func (s *stage) speak(p *player, n int) bool {
	if !s.tell(p, radio, "word", word{p.User(), n}) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spoken[p.User()] = n
	return true
}

// every does something again and again while there is talking.
func (s *stage) every(interval time.Duration, do func(n int) bool) {
	s.working.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case <-s.talking.Done():
				return
			case <-tick.C:
				if !do(n) {
					return
				}
			}
		}
	})
}

// observer runs a client whose presence, or whose view of it, is the point. The
// others follow nobody's.
func (s *stage) observer(cfg kit.ClientConfig, channel string) *kit.Client {
	s.T.Helper()
	cfg.Unsteady = true
	c := s.Connect(cfg)
	s.Must(c.Follow(s.Ctx, channel, kit.FromNow, true))
	return c
}

// truth is what the streams hold when nobody says anything more.
func (s *stage) truth() kit.Truth {
	s.T.Helper()
	truth, err := kit.ReadTruth(s.Ctx, s.NATS, subjects.StreamRoom, subjects.StreamApp)
	s.Must(err)
	return truth
}

func names(kind string, count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf("%s %d", kind, i)
	}
	return all
}
