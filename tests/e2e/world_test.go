package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// world is a running system and the clients in it.
type world struct {
	t       *testing.T
	ctx     context.Context // ends when the clients must go
	nc      *nats.Conn
	bus     *bustest.Bus // of a cluster, else nil
	secret  Secret
	archive *Archive
	end     context.CancelFunc
	limit   time.Duration

	bridges []string // set up by the test's goroutine

	mu      sync.Mutex
	random  *rand.Rand
	clients []*Client
	running sync.WaitGroup
}

// newWorld returns a world without a system, that lasts at most limit.
func newWorld(t *testing.T, limit time.Duration) *world {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("not done within %v", limit))
	w := &world{
		t: t, ctx: ctx, archive: NewArchive(), end: cancel, limit: limit,
		secret: bytes.Repeat([]byte("e2e "), 16), random: rand.New(rand.NewPCG(*seed, uint64(len(t.Name())))),
	}
	t.Cleanup(w.disperse)
	return w
}

// disperse makes all clients say goodbye.
func (w *world) disperse() {
	w.end()
	w.running.Wait()
}

// start runs parts of the system on the world's bus, or embeds a bus when there
// is none yet. It returns when they are ready.
func (w *world) start(cfg stack.Config) *stack.Stack {
	w.t.Helper()
	cfg.HTTP, cfg.Secret, cfg.Drain = cmp.Or(cfg.HTTP, "127.0.0.1:0"), w.secret, time.Second
	cfg.NATSUser, cfg.NATSPassword = natsUser, natsPassword
	cfg.Log = slog.New(slog.NewTextHandler(&output{t: w.t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	switch {
	case w.bus != nil:
		cfg.NATSURL, cfg.Replicas = cmp.Or(cfg.NATSURL, w.bus.URL()), len(w.bus.Servers)
	case w.nc != nil:
		cfg.NATSURL = w.nc.ConnectedUrl()
	default:
		cfg.NATSListen, cfg.Data = "127.0.0.1:0", w.t.TempDir()
	}
	s, err := stack.Start(context.WithoutCancel(w.t.Context()), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, stack.ErrStopped) {
			w.t.Errorf("close %s: %v", cfg.Node, err)
		}
	})
	w.join(s.NATSURL())
	if address := s.HTTPAddr(); address != "" && !slices.Contains(w.bridges, address) {
		w.bridges = append(w.bridges, address)
	}
	return s
}

// replace drains a bridge and starts another one at its address, as a rolling
// restart does. It must run on the test's goroutine.
func (w *world) replace(s *stack.Stack, node string, into *counts) {
	w.t.Helper()
	address := s.HTTPAddr()
	if err := s.Close(); err != nil {
		w.t.Errorf("drain: %v", err)
	}
	into.drains++
	w.start(stack.Config{Node: node, HTTP: address, Parts: []string{"bridge"}})
}

// A server that a world embeds demands this login; others take anyone.
const natsUser, natsPassword = "e2e", "end to end"

// join connects the verdict to the bus, once.
func (w *world) join(url string) {
	w.t.Helper()
	if w.nc != nil {
		return
	}
	nc, err := nats.Connect(url, nats.UserInfo(natsUser, natsPassword), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	w.nc = nc
}

// client adds a client that may connect to every bridge there was at first.
func (w *world) client(who Identity) *Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := NewClient(ClientConfig{Who: who, Secret: w.secret, Bridges: w.bridges, Archive: w.archive, Seed: w.random.Uint64()})
	w.clients = append(w.clients, c)
	return c
}

// run keeps a client connected until stop is called or the world ends.
func (w *world) run(c *Client) (stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	w.running.Go(func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			c.fault(err)
		}
	})
	return func() { cancel(); <-done }
}

// all returns the clients there are now.
func (w *world) all() []*Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*Client(nil), w.clients...)
}

// draw is a number below n that follows from the seed.
func (w *world) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.random.IntN(n)
}

// check reports an error of a goroutine that is not the test's own.
func (w *world) check(err error) bool {
	w.t.Helper()
	if err != nil {
		w.t.Error(err)
	}
	return err == nil
}

// settle lets every client come to the end of its channels and judges their logs.
func (w *world) settle(c *counts) Truth {
	w.t.Helper()
	truth, err := ReadTruth(w.ctx, w.nc, subjects.StreamRoom, subjects.StreamOps, subjects.StreamTracking)
	if err != nil {
		w.t.Fatal(err)
	}
	var logs []Log
	var wait sync.WaitGroup
	for _, client := range w.all() {
		for _, log := range client.Logs() {
			wait.Go(func() { w.check(client.Reach(w.ctx, log.Channel, truth.last(log.Channel))) })
		}
	}
	wait.Wait()
	for _, client := range w.all() {
		logs = append(logs, client.Logs()...)
		for _, fault := range client.Faults() {
			w.t.Errorf("fault: %v", fault)
		}
		tally := client.Tally()
		c.clients++
		c.cuts += tally.Cuts
		c.elsewhere += tally.Elsewhere
		c.recovered += tally.Recovered
	}
	verdict := Judge(truth, logs...)
	c.judged(verdict)
	if !verdict.Whole() {
		w.t.Errorf("logs differ from the streams: %d lost, %d twice, %d out of order, %d invented, %d altered, %d gaps\n%s",
			verdict.Lost, verdict.Twice, verdict.Reordered, verdict.Invented, verdict.Altered, verdict.Gaps, strings.Join(verdict.Examples, "\n"))
	}
	return truth
}

// output is where the system logs to: the test's output, while it lasts.
type output struct{ t *testing.T }

func (o *output) Write(line []byte) (int, error) {
	o.t.Logf("%s", bytes.TrimRight(line, "\n"))
	return len(line), nil
}
