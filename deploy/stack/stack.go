package stack

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/latido/latido/bridge"
	"github.com/latido/latido/subjects/identity"
)

// partStart bounds how long a part may take until it is ready, while it can store.
const partStart = 30 * time.Second

// Stack is a set of running parts on a bus.
type Stack struct {
	cfg      Config
	bus      *bus
	bridge   *bridge.Bridge
	verifier *identity.Verifier
	metrics  string // the address that metrics have of their own, or ""
	health   health
	front    *group // the bridge
	back     *group // the services
	stop     context.CancelCauseFunc
	failures chan error // the first part that ended by itself
	done     chan struct{}
	err      error // valid once done is closed
}

// Start returns when every part is ready: the streams exist, the services
// answer, the bridge takes sessions. The stack then runs until ctx ends, Close is
// called or a part fails. A failed start leaves nothing behind.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	cfg, err := cfg.Effective()
	if err != nil {
		return nil, err
	}
	if cfg.Node == "" {
		cfg.Node = nodeName()
	}
	if cfg.Dev() && cfg.Runs(bridgePart) {
		cfg.Log.Debug("dev mode: whoever reaches this machine's loopback may have any token")
	}
	s := &Stack{cfg: cfg, failures: make(chan error, 1), done: make(chan struct{})}
	inner, stop := context.WithCancelCause(ctx)
	s.stop = stop
	s.front, s.back = newGroup(ctx, s.fail), newGroup(ctx, s.fail)
	if err := s.open(inner); err != nil {
		stop(err)
		return nil, errors.Join(err, s.shutDown(err))
	}
	go s.supervise(inner)
	return s, nil
}

// open brings the parts up from the bottom: bus, streams, services, bridge.
func (s *Stack) open(ctx context.Context) (err error) {
	if err := s.startHealth(ctx); err != nil {
		return err
	}
	if s.bus, err = openBus(s.cfg); err != nil {
		return err
	}
	s.health.bus.Store(s.bus)
	if s.bus.disk != nil {
		s.back.start("disk", s.bus.disk.run)
	}
	if err := s.layOut(ctx); err != nil {
		return err
	}
	if err := s.startDebug(); err != nil {
		return err
	}
	s.back.start("memory", returnMemory)
	if s.verifier, err = s.newVerifier(); err != nil {
		return err
	}
	s.back.start("keys", s.verifier.Run)
	if s.cfg.Runs(bridgePart) {
		if s.bridge, err = s.newBridge(ctx); err != nil {
			return err
		}
		if err := s.startMetrics(); err != nil {
			return err
		}
	}
	for _, name := range s.cfg.Parts {
		if err := s.startService(ctx, name); err != nil {
			return err
		}
	}
	if err := s.awaitServices(ctx); err != nil {
		return err
	}
	if s.bridge != nil {
		s.front.start(bridgePart, s.bridge.Run)
		if err := s.awaitBridge(ctx); err != nil {
			return err
		}
	}
	s.tellMissing()
	return s.lookAtHealth(ctx)
}

// tellMissing says what an embedded server still needs: parts that run nowhere else
// unless another process joins.
func (s *Stack) tellMissing() {
	missing := slices.DeleteFunc(defaultParts(), s.cfg.Runs)
	if s.cfg.Embeds() && len(missing) > 0 {
		s.cfg.Log.Warn("the embedded NATS server has no other parts than these: name the missing ones here, or join them",
			"missing", strings.Join(missing, " "), "join", fmt.Sprintf("latido %s --nats-url %s", strings.Join(missing, " "), s.bus.url))
	}
}

// supervise waits for a reason to stop and stops everything.
func (s *Stack) supervise(ctx context.Context) {
	defer close(s.done)
	var failure error
	select {
	case <-ctx.Done():
	case failure = <-s.failures:
		s.stop(failure)
	}
	s.err = errors.Join(failure, s.shutDown(context.Cause(ctx)))
}

// shutDown goes down from the top, each step when the one before has ended:
// browsers are drained, services finish what they took, the bus closes.
func (s *Stack) shutDown(cause error) error {
	var failures []error
	for _, parts := range []*group{s.front, s.back} {
		if err := parts.stop(cause); err != nil && !errors.Is(cause, err) {
			failures = append(failures, err)
		}
	}
	if s.bus != nil {
		failures = append(failures, s.bus.close())
	}
	return errors.Join(failures...)
}

// fail keeps the first failure; the others follow from it.
func (s *Stack) fail(err error) {
	select {
	case s.failures <- err:
	default:
	}
}

// Wait blocks until the stack has ended and returns why, nil if it was told to.
func (s *Stack) Wait() error {
	<-s.done
	return s.err
}

// Close drains the browsers, stops the parts and waits until they have ended.
func (s *Stack) Close() error {
	s.stop(ErrStopped)
	return s.Wait()
}

// HTTPAddr is the address browsers connect to, "" without a bridge.
func (s *Stack) HTTPAddr() string {
	if s.bridge == nil {
		return ""
	}
	return s.bridge.Addr()
}

// NATSLogin is how to log in to the embedded server of a data folder whose
// password Latido made; all is "" where that is not so.
func (s *Stack) NATSLogin() Login { return s.bus.login }

// MetricsAddr is the address that metrics have of their own, "" without one.
func (s *Stack) MetricsAddr() string { return s.metrics }

// NATSURL is where the bus can be reached, without passwords.
func (s *Stack) NATSURL() string { return s.bus.url }

// Config is what the stack runs with, defaults filled in.
func (s *Stack) Config() Config { return s.cfg }

// nodeName makes a name that no other process has, not even the one that ran on
// this host before: presence takes a returning name for a living node. Of the host's
// name it takes what a node's may have.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	host, _, _ = strings.Cut(host, ".")
	host = notInNames.ReplaceAllString(host, "-")
	ending := "-" + strings.ToLower(rand.Text()[:6])
	return host[:min(len(host), nodeMost-len(ending))] + ending
}
