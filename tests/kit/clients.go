package kit

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Client adds a client, which does nothing until Run.
func (s *Stage) Client(cfg ClientConfig) *Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	cfg.secret, cfg.archive, cfg.seed = s.Secret, s.archive, s.random.Uint64()
	if cfg.Bridges == nil {
		cfg.Bridges = slices.Clone(s.bridges)
	}
	if len(cfg.Bridges) == 0 {
		panic("a client has no bridge to connect to: start one first")
	}
	c := newClient(cfg)
	s.clients = append(s.clients, c)
	return c
}

// Run keeps a client connected until stop is called or the clients must go.
func (s *Stage) Run(c *Client) (stop func()) {
	ctx, cancel := context.WithCancel(s.Ctx)
	done := make(chan struct{})
	s.running.Go(func() {
		defer close(done)
		if err := c.run(ctx); err != nil {
			c.fault(err)
		}
	})
	return func() { cancel(); <-done }
}

// Connect adds a client, runs it, and returns when it is connected.
func (s *Stage) Connect(cfg ClientConfig) *Client {
	s.T.Helper()
	c := s.Client(cfg)
	s.Run(c)
	s.Must(c.Back(s.Ctx, 1))
	return c
}

// Clients are the clients there are now.
func (s *Stage) Clients() []*Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.clients)
}

// errOver is why the clients go.
var errOver = errors.New("the test is over")

// StopClients has all clients say goodbye, and reports their faults, once.
func (s *Stage) StopClients() {
	s.end(errOver)
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		for _, fault := range c.Faults() {
			s.T.Errorf("fault: %v", fault)
		}
	}
	s.clients = nil
}

// Settle lets the clients come to the end of all their channels, and judges what
// they received against the streams.
func (s *Stage) Settle(streams ...string) (Truth, Verdict) {
	s.T.Helper()
	truth, err := ReadTruth(s.Ctx, s.NATS, streams...)
	s.Must(err)
	var waiting sync.WaitGroup
	for _, client := range s.Clients() {
		for _, log := range client.Logs() {
			waiting.Go(func() { s.Check(client.Reach(s.Ctx, log.Channel, truth.Last(log.Channel))) })
		}
	}
	waiting.Wait()
	var logs []Log
	for _, client := range s.Clients() {
		logs = append(logs, client.Logs()...)
	}
	verdict := Judge(truth, logs...)
	if !verdict.Whole() {
		s.T.Errorf("logs differ from the streams: %v", verdict)
	}
	return truth, verdict
}
