package floor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	readSize = 256 << 10
	backlog  = 4096
	eventsAt = 1024 // events taken by one epoll_wait
	patience = 50   // milliseconds after which the end of the context is looked for
)

// Server serves one address in one thread.
type Server struct {
	epoll    int
	listener int

	connections []*connection // by descriptor
	rooms       map[uint32]*room
	dirty       []*room       // have something new
	answered    []*connection // have answers that wait
	buffer      []byte
	journal     journal
}

// Listen opens a server on an IPv4 address. What is to be stored goes
// to file, and to the disk before it is answered if flush says so.
func Listen(address netip.AddrPort, file *os.File, flush bool) (*Server, error) {
	s := &Server{
		epoll: -1, listener: -1, rooms: make(map[uint32]*room), buffer: make([]byte, readSize),
		journal: journal{file: file, flush: flush},
	}
	if err := s.open(address); err != nil {
		s.close()
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return s, nil
}

func (s *Server) open(address netip.AddrPort) (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	s.listener, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.SetsockoptInt(s.listener, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(s.listener, &unix.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}); err != nil {
		return err
	}
	if err := unix.Listen(s.listener, backlog); err != nil {
		return err
	}
	return s.watch(s.listener, unix.EPOLLIN)
}

// Run serves until ctx ends. What one epoll_wait finds readable is read first and
// written then, so that whatever came together leaves in one write per subscriber.
func (s *Server) Run(ctx context.Context) error {
	defer s.close()
	events := make([]unix.EpollEvent, eventsAt)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(s.epoll, events, patience)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("epoll_wait: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			fd := int(event.Fd)
			if fd == s.listener {
				s.accept()
				continue
			}
			if c := s.connections[fd]; c != nil {
				s.serve(c, event.Events)
			}
		}
		if err := s.journal.commit(); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		s.flush()
	}
	return nil
}

func (s *Server) serve(c *connection, events uint32) {
	if events&unix.EPOLLOUT != 0 && !s.resume(c) {
		return
	}
	if events&^unix.EPOLLOUT != 0 {
		s.read(c)
	}
}

func (s *Server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // nobody waits, or no descriptor is left, which the client will notice
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if s.watch(fd, unix.EPOLLIN) != nil {
			_ = unix.Close(fd)
			continue
		}
		for len(s.connections) <= fd {
			s.connections = append(s.connections, nil)
		}
		s.connections[fd] = &connection{fd: fd}
	}
}

func (s *Server) watch(fd int, events uint32) error {
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (s *Server) close() {
	for _, c := range s.connections {
		if c != nil {
			s.drop(c)
		}
	}
	_ = unix.Close(s.listener)
	_ = unix.Close(s.epoll)
}
