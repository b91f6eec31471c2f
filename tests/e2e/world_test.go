package e2e

import (
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/kit"
)

// world is a stage whose clients' logs are judged at the end.
type world struct{ *kit.Stage }

// newWorld returns a world on a bus, or without a system when there is none, that
// lasts at most limit.
func newWorld(t *testing.T, limit time.Duration, bus *bustest.Bus) *world {
	t.Helper()
	return &world{kit.NewStage(t, kit.Config{Limit: limit, Bus: bus, Seed: *seed})}
}

// start is Start with a drain that is felt.
func (w *world) start(cfg stack.Config) *stack.Stack {
	w.T.Helper()
	cfg.Drain = time.Second
	return w.Start(cfg)
}

// replace drains a bridge and starts another one at its address, as a rolling
// restart does. It must run on the test's goroutine.
func (w *world) replace(s *stack.Stack, node string, into *counts) {
	w.T.Helper()
	address := s.HTTPAddr()
	if err := s.Close(); err != nil {
		w.T.Errorf("drain: %v", err)
	}
	into.drains++
	w.start(stack.Config{Node: node, HTTP: address, Parts: []string{"bridge"}})
}

// settle lets every client come to the end of its channels and judges their logs.
func (w *world) settle(c *counts) kit.Truth {
	w.T.Helper()
	truth, verdict := w.Settle(subjects.StreamRoom, subjects.StreamOps, subjects.StreamTracking)
	for _, client := range w.Clients() {
		tally := client.Tally()
		c.clients++
		c.cuts += tally.Cuts
		c.elsewhere += tally.Elsewhere
		c.recovered += tally.Recovered
	}
	c.judged(verdict)
	return truth
}
