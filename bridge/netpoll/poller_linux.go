package netpoll

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Poller waits for all TCP sockets at once, so that an idle one needs no
// goroutine. It watches edges: a socket is woken when something has come since
// it found nothing more, and must read until there is nothing again.
type Poller struct {
	file *os.File // the epoll instance, itself waited for by Go's own poller
	raw  syscall.RawConn

	mu      sync.Mutex
	sockets []*Socket // by descriptor
}

const (
	edges      = 1 << 31 // EPOLLET, which package syscall has with a wrong sign
	interest   = syscall.EPOLLIN | syscall.EPOLLRDHUP | edges
	hangsUp    = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	pollAtOnce = 256
)

// NewPoller asks the system for a poller; Run ends it.
func NewPoller() (*Poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // or Go would not wait for it
		return nil, errors.Join(os.NewSyscallError("fcntl", err), syscall.Close(fd))
	}
	p := &Poller{file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// add has a parked socket woken when it has something to read. It says no when the
// socket cannot be waited for.
func (p *Poller) add(s *Socket) bool {
	if s.raw == nil {
		return false
	}
	var added error
	err := s.raw.Control(func(fd uintptr) {
		p.mu.Lock()
		s.fd = int(fd)
		if missing := s.fd + 1 - len(p.sockets); missing > 0 {
			p.sockets = append(p.sockets, make([]*Socket, missing)...)
		}
		p.sockets[s.fd] = s
		p.mu.Unlock()
		var refused error
		event := syscall.EpollEvent{Events: interest, Fd: int32(fd)}
		added = p.raw.Control(func(epoll uintptr) {
			refused = syscall.EpollCtl(int(epoll), syscall.EPOLL_CTL_ADD, int(fd), &event)
		})
		added = errors.Join(added, refused)
	})
	if err = errors.Join(err, added); err != nil {
		p.remove(s)
	}
	return err == nil
}

// remove forgets a socket, whose descriptor may be another's by now.
func (p *Poller) remove(s *Socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd := s.fd; fd < len(p.sockets) && p.sockets[fd] == s {
		p.sockets[fd] = nil
	}
}

// Run wakes sockets until ctx ends.
func (p *Poller) Run(ctx context.Context) error {
	defer func() { _ = p.file.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = p.file.Close() }) // ends the wait
	defer stop()
	events := make([]syscall.EpollEvent, pollAtOnce)
	woken := make([]*Socket, 0, pollAtOnce)
	for {
		var n int
		var err error
		waiting := p.raw.Read(func(fd uintptr) bool {
			n, err = syscall.EpollWait(int(fd), events, 0)
			return n != 0
		})
		switch {
		case ctx.Err() != nil:
			return nil
		case waiting != nil:
			return fmt.Errorf("wait for sockets: %w", waiting)
		case n < 0 && !errors.Is(err, syscall.EINTR):
			return os.NewSyscallError("epoll_wait", err)
		}
		p.mu.Lock()
		for _, event := range events[:max(n, 0)] {
			if s := p.sockets[event.Fd]; s != nil {
				if event.Events&hangsUp != 0 {
					s.hungUp.Store(true)
				}
				woken = append(woken, s)
			}
		}
		p.mu.Unlock()
		for _, s := range woken {
			s.Wake()
		}
		clear(woken)
		woken = woken[:0]
	}
}
