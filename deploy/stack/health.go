package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latido/latido/bridge"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology"
)

// readinessTime bounds one look at the bus.
const readinessTime = 2 * time.Second

// health says over HTTP how this process is, from before it has found the bus until
// it ends. The bridge has such pages, too, which say no more than a part of it.
type health struct {
	parts    []string
	bus      atomic.Pointer[bus]
	bridge   *bridge.Bridge // this and the verifier before nc, or nil
	verifier *identity.Verifier
	nc       atomic.Pointer[nats.Conn] // once all parts are ready
	address  string
}

// startHealth serves /healthz, /readyz and /metrics, if that is set.
func (s *Stack) startHealth(ctx context.Context) error {
	s.health.parts = s.cfg.Parts
	if s.cfg.Health == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Health)
	if err != nil {
		return fmt.Errorf("--health-listen %s: %w", s.cfg.Health, listenReason(err))
	}
	s.health.address = listener.Addr().String()
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "latido_ready", Help: "1 while this process can serve, as /readyz has it."}, s.health.gauge),
	)
	pages := http.NewServeMux()
	pages.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	pages.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	pages.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := s.health.readiness(r.Context()); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second}
	s.back.start("health", func(ctx context.Context) error {
		defer context.AfterFunc(ctx, func() { _ = server.Close() })() // nobody waits for a page at the end
		if err := server.Serve(listener); ctx.Err() == nil {
			return err
		}
		return ctx.Err()
	})
	return nil
}

// lookAtHealth begins to look at the streams: all parts here are ready.
func (s *Stack) lookAtHealth(ctx context.Context) error {
	if s.cfg.Health == "" {
		return nil
	}
	nc, err := s.bus.connect(ctx, "health")
	s.health.bridge, s.health.verifier = s.bridge, s.verifier
	s.health.nc.Store(nc)
	return err
}

func say(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // who asked may be gone
}

var (
	errStarting = errors.New("starting")
	errBusAway  = errors.New("NATS is away")
)

// readiness is why this process cannot serve, nil when it can: there is room to store
// something, the bridge is ready, tokens can be verified, and the leaders of the
// streams that it works on answer.
func (h *health) readiness(ctx context.Context) error {
	bus := h.bus.Load()
	if bus == nil {
		return errStarting
	}
	nc := h.nc.Load()
	switch {
	case nc == nil && bus.disk.blocks() != nil:
		return fmt.Errorf("%w: %w", errStarting, bus.disk.blocks())
	case bus.disk.state() != nil:
		return bus.disk.state()
	}
	if waiting := bus.waiting.Load(); waiting != nil {
		return fmt.Errorf("%w: %s: %w", errStarting, waiting.what, waiting.err)
	}
	switch {
	case nc == nil:
		return errStarting
	case bus.away():
		return errBusAway
	}
	if h.bridge != nil {
		if err := h.bridge.Ready(); err != nil {
			return err
		}
	}
	if err := h.verifier.Ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readinessTime)
	defer cancel()
	for _, part := range h.parts {
		names := topology.StreamsOf(part)
		if part == bridgePart || part == topologyPart {
			names = topology.Names(topology.Config{})
		}
		for _, name := range names {
			if _, err := history.Describe(ctx, nc, name); err != nil {
				return fmt.Errorf("stream %s: %w", name, err)
			}
		}
	}
	return nil
}

func (h *health) gauge() float64 {
	if h.readiness(context.Background()) != nil {
		return 0
	}
	return 1
}
