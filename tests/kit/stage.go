package kit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Config is how a stage begins. Its zero value works.
type Config struct {
	Limit time.Duration // how long the clients may live; 0 is four minutes
	Bus   *bustest.Bus  // what the system runs on; nil has the first stack embed a server
	Seed  uint64        // what every random draw follows from
	Dev   bool          // nothing verifies tokens: whoever is on this machine may have any
}

// Stage is a system and the clients on it. Everything on it ends with the test, the
// clients first; what one of them saw that the protocol forbids fails the test.
type Stage struct {
	T      *testing.T
	Ctx    context.Context // ends when the clients must go
	Secret Secret          // signs tokens; none in dev mode
	Bus    *bustest.Bus    // nil where a server is embedded
	NATS   *nats.Conn      // may read and write everything; nil before there is a server

	end     context.CancelCauseFunc
	archive *archive
	bridges []string // of the stacks, which are started by the test's goroutine
	running sync.WaitGroup

	mu      sync.Mutex
	random  *rand.Rand
	clients []*Client
}

// NewStage returns a stage on which nothing runs yet.
func NewStage(t *testing.T, cfg Config) *Stage {
	t.Helper()
	limit := cmp.Or(cfg.Limit, 4*time.Minute)
	limited, stop := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("not done within %v", limit))
	ctx, end := context.WithCancelCause(limited)
	s := &Stage{
		T: t, Ctx: ctx, Bus: cfg.Bus,
		archive: newArchive(), random: rand.New(rand.NewPCG(cfg.Seed, uint64(len(t.Name())))),
	}
	if !cfg.Dev {
		s.Secret = bytes.Repeat([]byte("secrets "), 8)
	}
	s.end = func(cause error) { end(cause); stop() }
	t.Cleanup(s.StopClients)
	if s.Bus != nil {
		s.NATS = s.Bus.Connect(t)
	}
	return s
}

// login is what an embedded server demands; others take anyone.
const loginUser, loginPassword = "tests", "what tests log in with"

// Start runs parts of the system, on the stage's bus if it has one, and returns when
// they are ready. Unless the configuration says otherwise it listens on free ports
// and drains at once; it logs to the test.
func (s *Stage) Start(cfg stack.Config) *stack.Stack {
	s.T.Helper()
	cfg.HTTP, cfg.Drain, cfg.Secret = cmp.Or(cfg.HTTP, fmt.Sprintf("127.0.0.1:%d", bustest.FreePorts(s.T, 1)[0])), cmp.Or(cfg.Drain, time.Millisecond), s.Secret
	cfg.NATSUser, cfg.NATSPassword = loginUser, loginPassword
	cfg.Log = slog.New(slog.NewTextHandler(s.T.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	switch {
	case s.Bus != nil:
		cfg.NATSURL = cmp.Or(cfg.NATSURL, s.Bus.URL())
		if len(s.Bus.Servers) > 1 {
			cfg.Replicas = len(s.Bus.Servers)
		}
	case s.NATS != nil:
		cfg.NATSURL = s.NATS.ConnectedUrl()
	default:
		cfg.NATSListen = "127.0.0.1:0"
		if cfg.Data == "" {
			cfg.Data = s.T.TempDir()
		}
	}
	running, err := stack.Start(context.WithoutCancel(s.T.Context()), cfg)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(func() {
		s.StopClients()
		if err := running.Close(); err != nil && !errors.Is(err, stack.ErrStopped) {
			s.T.Errorf("close %s: %v", cfg.Node, err)
		}
	})
	if s.NATS == nil {
		s.NATS = s.connect(running.NATSURL())
	}
	if address := running.HTTPAddr(); address != "" && !slices.Contains(s.bridges, address) {
		s.bridges = append(s.bridges, address)
	}
	return running
}

// Address is where the first bridge takes clients.
func (s *Stage) Address() string { return s.bridges[0] }

func (s *Stage) connect(url string) *nats.Conn {
	s.T.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(loginUser, loginPassword), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	s.Must(err)
	s.T.Cleanup(nc.Close)
	return nc
}

// Process runs a part of the system on the stage's bus, as a process of its own, and
// returns when it serves. A URL in the arguments takes the place of the bus's own.
func (s *Stage) Process(part string, program Program) *Process {
	s.T.Helper()
	arguments := []string{part, "--jwt-secret", string(s.Secret)}
	if !slices.Contains(program.Arguments, "--nats-url") {
		arguments = append(arguments, "--nats-url", s.Bus.URL())
	}
	program.Arguments = append(arguments, program.Arguments...)
	p := Launch(s.T, program)
	s.T.Cleanup(s.StopClients)
	p.Serves(s.T)
	return p
}

// Proxy is NewProxy on this stage.
func (s *Stage) Proxy(target string) *Proxy {
	s.T.Helper()
	return NewProxy(s.T, target)
}

// JetStream is what the system stores.
func (s *Stage) JetStream() jetstream.JetStream {
	s.T.Helper()
	js, err := jetstream.New(s.NATS, bustest.Patient)
	s.Must(err)
	return js
}

// IntN is a number below n that follows from the seed.
func (s *Stage) IntN(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.IntN(n)
}

// Must ends the test on an error.
func (s *Stage) Must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
}

// Check reports an error, also on a goroutine that is not the test's own.
func (s *Stage) Check(err error) bool {
	s.T.Helper()
	if err != nil {
		s.T.Error(err)
	}
	return err == nil
}

// Until asks again and again until met, or the clients must go.
func (s *Stage) Until(met func() bool) bool {
	s.T.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !met() {
		select {
		case <-ticker.C:
		case <-s.Ctx.Done():
			s.T.Error(fmt.Errorf("waiting: %w", context.Cause(s.Ctx)))
			return false
		}
	}
	return true
}
