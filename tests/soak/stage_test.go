package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/e2e"
	"github.com/latido/latido/tests/faults"
)

// The channels of everybody. Each pair of friends has a room of its own besides.
const (
	plaza = "room:plaza" // durable, the chat service's
	log   = "log:plaza"  // durable, the app's
	radio = "app:plaza"  // live, and where everybody is shown
)

// settling is how long the last words may take to reach everybody.
const settling = 90 * time.Second

// stage is a running stack and who is on it.
type stage struct {
	t       *testing.T
	ctx     context.Context // ends when everybody must go
	talking context.Context // ends when nobody says anything more
	stack   *stack.Stack
	nc      *nats.Conn
	secret  e2e.Secret
	archive *e2e.Archive
	running sync.WaitGroup // clients
	working sync.WaitGroup // what they do while there is talking

	mu      sync.Mutex
	seed    uint64
	players []*player
	sent    []e2e.Sent     // acknowledged as stored
	spoken  map[string]int // live events acknowledged, by user
}

// natsUser logs in to the bus of the stage.
const natsUser, natsPassword = "soak", "soak for ten minutes"

// newStage starts a stack with its defaults, but for what keeps it apart from others.
func newStage(t *testing.T) *stage {
	t.Helper()
	duration, err := time.ParseDuration(os.Getenv("LATIDO_SOAK_DURATION"))
	if err != nil {
		t.Skip("LATIDO_SOAK_DURATION says for how long")
	}
	s := &stage{t: t, secret: bytes.Repeat([]byte("soak "), 8), archive: e2e.NewArchive(), spoken: map[string]int{}}
	s.stack, err = stack.Start(context.WithoutCancel(t.Context()), stack.Config{
		HTTP: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Data: t.TempDir(), Secret: s.secret, Kinds: []string{"log:durable"},
		NATSUser: natsUser, NATSPassword: natsPassword,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stack.Close(); err != nil && !errors.Is(err, stack.ErrStopped) {
			t.Error(err)
		}
	})
	if s.nc, err = s.connect(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nc.Close)
	var end, hush context.CancelFunc
	s.ctx, end = context.WithTimeoutCause(t.Context(), duration+2*settling, errors.New("did not settle"))
	s.talking, hush = context.WithTimeout(s.ctx, duration)
	t.Cleanup(func() { hush(); end(); s.working.Wait(); s.running.Wait() })
	return s
}

func (s *stage) connect() (*nats.Conn, error) {
	return nats.Connect(s.stack.NATSURL(), nats.UserInfo(natsUser, natsPassword))
}

// player is one client and what it heard live.
type player struct {
	*e2e.Client
	kind   string
	slow   bool // reads less than it is told, so that it never hears the last word
	radio  hearing
	stored []string // the durable channels it follows
}

// play adds a client that connects to an address, and is shown where all are.
func (s *stage) play(kind, user, address string) *player {
	s.t.Helper()
	s.seed++
	p := &player{kind: kind, radio: hearing{last: map[string]int{}}}
	p.Client = e2e.NewClient(e2e.ClientConfig{
		Who: e2e.Identity{User: user}, Secret: s.secret, Bridges: []string{address}, Archive: s.archive, Seed: s.seed, OnEvent: p.radio.take,
	})
	s.players = append(s.players, p)
	s.running.Go(func() { s.check(p.Run(s.ctx)) })
	s.must(p.Track(s.ctx, radio, map[string]string{"as": kind}))
	return p
}

// follow subscribes a player to channels.
func (s *stage) follow(p *player, channels ...string) {
	s.t.Helper()
	for _, channel := range channels {
		s.must(p.Follow(s.ctx, channel, e2e.FromNow, false))
		if channel == radio {
			p.radio.on.Store(true)
			continue
		}
		p.stored = append(p.stored, channel)
	}
}

// tell publishes once, and writes down what was acknowledged.
func (s *stage) tell(p *player, channel, event string, data any) bool {
	seq, key, err := p.Publish(s.ctx, channel, event, data)
	if !s.check(err) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if seq > 0 {
		s.sent = append(s.sent, e2e.Sent{User: p.User(), Channel: channel, Key: key, Seq: seq})
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

// peer runs a peer whose presence, or whose view of it, is the point.
func (s *stage) peer(cfg faults.PeerConfig) *faults.Peer {
	s.t.Helper()
	cfg.Secret = s.secret
	p := faults.NewPeer(cfg)
	s.running.Go(func() { s.check(p.Run(s.ctx)) })
	s.must(p.Back(s.ctx, 1))
	return p
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) check(err error) bool {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
	return err == nil
}

// truth is what the streams hold when nobody says anything more.
func (s *stage) truth() e2e.Truth {
	s.t.Helper()
	truth, err := e2e.ReadTruth(s.ctx, s.nc, subjects.StreamRoom, subjects.StreamApp)
	s.must(err)
	return truth
}

func names(kind string, count int) []string {
	all := make([]string, count)
	for i := range all {
		all[i] = fmt.Sprintf("%s %d", kind, i)
	}
	return all
}
