package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"
)

// Shares of what is sampled for the profiles of locks: one of so many contended
// mutexes, one blocked event per so many nanoseconds.
const (
	mutexShare = 100
	blockShare = 100_000
)

// startDebug serves profiles at /debug/pprof/ of an address of its own, which
// only this machine reaches.
func (s *Stack) startDebug() error {
	if s.cfg.Debug == "" {
		return nil
	}
	listener, err := net.Listen("tcp", s.cfg.Debug)
	if err != nil {
		return fmt.Errorf("--debug-listen %s: %w", s.cfg.Debug, listenReason(err))
	}
	runtime.SetMutexProfileFraction(mutexShare)
	runtime.SetBlockProfileRate(blockShare)
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s.serveHTTP("debug", listener, mux)
	return nil
}

// startMetrics serves the bridge's metrics at an address of their own.
func (s *Stack) startMetrics() error {
	if s.cfg.MetricsListen == "" {
		return nil
	}
	listener, err := net.Listen("tcp", s.cfg.MetricsListen)
	if err != nil {
		return fmt.Errorf("--metrics-listen %s: %w", s.cfg.MetricsListen, listenReason(err))
	}
	s.metrics = listener.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/metrics", s.bridge.Metrics())
	s.serveHTTP("metrics", listener, mux)
	return nil
}

// serveHTTP serves those who run the stack until it ends.
func (s *Stack) serveHTTP(name string, listener net.Listener, handler http.Handler) {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second, MaxHeaderBytes: 16 << 10}
	s.back.start(name, func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return ctx.Err()
	})
}
