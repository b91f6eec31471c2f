package server

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Kind is what is measured.
type Kind string

// The kinds of servers.
const (
	Latido Kind = "latido" // with NATS embedded, in one process
	Split  Kind = "split"  // Latido, with NATS in a process of its own
	Floor  Kind = "floor"
	NATS   Kind = "nats" // a nats-server's own WebSocket listener
)

// Kinds are all of them.
var Kinds = []Kind{Latido, Split, Floor, NATS}

// Sync says when stored messages are flushed to disk.
type Sync string

// When stored messages are flushed.
const (
	Relaxed Sync = "2m"     // every two minutes: NATS's default
	Always  Sync = "always" // before each is acknowledged
)

// Options say how a server is started.
type Options struct {
	Kind Kind
	Sync Sync
	Core int    // where it runs; below 0 is anywhere
	Dir  string // for its data and logs; made when it is not there
}

// Server is one server that is ready, with its NATS if that is another process.
type Server struct {
	Address netip.AddrPort

	options  Options
	programs Programs
	main     *Process
	bus      *Process
}

const startTime = time.Minute

// Start starts a server and waits until it is ready.
func Start(ctx context.Context, programs Programs, o Options) (*Server, error) {
	s := &Server{options: o, programs: programs}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) (err error) {
	if !s.Address.IsValid() {
		if s.Address, err = freeAddress(); err != nil {
			return err
		}
	}
	busAddress, err := freeAddress()
	if err != nil {
		return err
	}
	if s.options.Kind == Split {
		if err := s.startBus(ctx, busAddress); err != nil {
			return err
		}
	}
	args, err := s.arguments(busAddress)
	if err != nil {
		return err
	}
	s.main, err = launch(string(s.options.Kind), s.options.Core, filepath.Join(s.options.Dir, "server.log"), args...)
	if err != nil {
		return err
	}
	return s.main.await(ctx, func() bool {
		if s.options.Kind == Latido || s.options.Kind == Split {
			return ready(ctx, s.Address)
		}
		return listens(s.Address)
	})
}

func (s *Server) startBus(ctx context.Context, address netip.AddrPort) error {
	config, err := s.natsConfig(address, netip.AddrPort{})
	if err != nil {
		return err
	}
	s.bus, err = launch("nats-server", s.options.Core, filepath.Join(s.options.Dir, "bus.log"), s.programs.NATS, "--config", config)
	if err != nil {
		return err
	}
	return s.bus.await(ctx, func() bool { return listens(address) })
}

// Restart ends the server and starts it again on the same data. The floor has
// none, and goes on.
func (s *Server) Restart(ctx context.Context) error {
	if s.options.Kind == Floor {
		return nil
	}
	if err := s.Stop(); err != nil {
		return err
	}
	return s.start(ctx)
}

// Stop ends the server.
func (s *Server) Stop() error {
	err := errors.Join(s.main.stop(), s.bus.stop())
	s.main, s.bus = nil, nil
	return err
}

// CPU is what the server has used: all of it, and its NATS's share where that is
// known.
func (s *Server) CPU() (all, bus time.Duration) {
	bus = s.bus.CPU()
	return s.main.CPU() + bus, bus
}

// Resident is the memory that the server holds, without a NATS of its own.
func (s *Server) Resident() int64 { return s.main.Resident() }

func (p *Process) await(ctx context.Context, done func() bool) error {
	for deadline := time.Now().Add(startTime); !done(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not get ready:\n%s", p.name, p.said())
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended:\n%s", p.name, p.said())
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func ready(ctx context.Context, address netip.AddrPort) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func listens(address netip.AddrPort) bool {
	conn, err := net.DialTimeout("tcp", address.String(), time.Second)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// freeAddress is a loopback address that nobody listens on, with a port below those
// that the system lends to outgoing connections.
func freeAddress() (address netip.AddrPort, err error) {
	const first, ports, attempts = 20_000, 12_000, 100
	for range attempts {
		address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), first+rand.N(uint16(ports)))
		listener, refused := net.Listen("tcp", address.String())
		if err = refused; err == nil {
			return address, listener.Close()
		}
	}
	return netip.AddrPort{}, err
}
