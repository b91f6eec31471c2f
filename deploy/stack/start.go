package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/bridge"
)

// newBridge binds the bridge's listener. The bridge has a connection for each
// purpose, so that a long replay holds up neither live events nor publishing.
func (s *Stack) newBridge(ctx context.Context) (*bridge.Bridge, error) {
	tellFiles(s.cfg.Log)
	kinds, err := s.cfg.kinds()
	if err != nil {
		return nil, err
	}
	meta, err := s.cfg.meta()
	if err != nil {
		return nil, err
	}
	proxies, err := s.cfg.trustedProxies()
	if err != nil {
		return nil, err
	}
	var storage func() error
	if s.bus.disk != nil {
		storage = s.bus.disk.state
	}
	created, err := bridge.New(bridge.Config{
		Node:     s.cfg.Node,
		Listen:   s.cfg.HTTP,
		Connect:  func(purpose string) (*nats.Conn, error) { return s.bus.connect(ctx, "bridge "+purpose) },
		Storage:  storage,
		Verifier: s.verifier,
		Dev:      s.cfg.Dev(),
		Origins:  s.cfg.Origins,
		Kinds:    kinds,
		Meta:     meta,

		TrustedProxies:   proxies,
		MetricsToken:     s.cfg.MetricsToken,
		MetricsElsewhere: s.cfg.MetricsListen != "",

		Compress: s.cfg.Compress,
		Limits:   s.cfg.Limits,
		Log:      s.cfg.Log,
		Drain:    s.cfg.Drain,
	})
	if reason := listenReason(err); errors.Is(reason, ErrAddressTaken) {
		return nil, fmt.Errorf("--http %s: %w", s.cfg.HTTP, reason)
	}
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	return created, nil
}

// awaitBridge blocks until the bridge takes sessions. Whether it serves them well
// is for its readiness to say, which may change at any time.
func (s *Stack) awaitBridge(ctx context.Context) error {
	return s.until(ctx, bridgePart, "not ready in time", func() (bool, error) { return s.bridge.Taking(), nil })
}

// late reports whether a part has taken too long to be ready. Where the start waits
// without end for the bus, a part does, too.
func (s *Stack) late(began time.Time) bool {
	return (s.cfg.NATSWait > 0 || s.cfg.Embeds()) && time.Since(began) > s.cfg.NATSWait+partStart
}

func (s *Stack) startService(ctx context.Context, name string) error {
	found, ok := service(name)
	if !ok {
		return nil
	}
	connection, err := s.bus.connect(ctx, name)
	if err != nil {
		return err
	}
	s.back.start(name, func(ctx context.Context) error { return found.run(ctx, connection, s.verifier, s.cfg.Log) })
	return nil
}

// awaitServices blocks until each service here answers on the bus, so that the
// first browser's first command finds somebody.
func (s *Stack) awaitServices(ctx context.Context) error {
	connection, err := s.bus.connect(ctx, "start")
	if err != nil {
		return err
	}
	defer connection.Close()
	for _, name := range s.cfg.Parts {
		if !isService(name) {
			continue
		}
		if err := s.awaitService(ctx, connection, name); err != nil {
			return err
		}
	}
	return nil
}

// askTime is how long a service may take to say what it is before it is asked again.
const askTime = 2 * time.Second

// awaitService asks for the service's endpoints until two answers agree: it
// answers from its first endpoint on, and the others follow at once.
func (s *Stack) awaitService(ctx context.Context, connection *nats.Conn, name string) error {
	subject, err := micro.ControlSubject(micro.InfoVerb, name, "")
	if err != nil {
		return err
	}
	endpoints := 0
	return s.until(ctx, name, "does not answer", func() (bool, error) {
		answer, err := connection.Request(subject, nil, askTime)
		if err != nil && passing(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		var info micro.Info
		if err := json.Unmarshal(answer.Data, &info); err != nil {
			return false, err
		}
		before := endpoints
		endpoints = len(info.Endpoints)
		return endpoints > 0 && endpoints == before, nil
	})
}

// until asks again and again whether a part is ready. It ends with the reason
// when any part fails meanwhile, or when it is late for another reason than a full
// disk.
func (s *Stack) until(ctx context.Context, part, late string, ready func() (bool, error)) error {
	for began := time.Now(); ; {
		done, err := ready()
		if done && err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", part, context.Cause(ctx))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
		if s.bus.disk.blocks() != nil {
			began = time.Now()
		}
		if s.late(began) {
			return fmt.Errorf("%s: %s", part, late)
		}
		select {
		case err := <-s.failures:
			return err
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}
