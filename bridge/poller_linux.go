package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// poller waits for all TCP sockets at once, so that an idle session needs no
// goroutine. It watches edges: a session is woken when something has come since
// it found nothing more, and must read until there is nothing again.
type poller struct {
	file *os.File // the epoll instance, itself waited for by Go's own poller
	raw  syscall.RawConn

	mu       sync.Mutex
	sessions []*session // by descriptor
}

const (
	edges      = 1 << 31 // EPOLLET, which package syscall has with a wrong sign
	interest   = syscall.EPOLLIN | syscall.EPOLLRDHUP | edges
	hangsUp    = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	pollAtOnce = 256
)

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil { // or Go would not wait for it
		return nil, errors.Join(os.NewSyscallError("fcntl", err), syscall.Close(fd))
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	return p, nil
}

// add has a parked session woken when its socket has something to read. It says
// no when the socket cannot be waited for.
func (p *poller) add(s *session) bool {
	if s.socket.raw == nil {
		return false
	}
	var added error
	err := s.socket.raw.Control(func(fd uintptr) {
		p.mu.Lock()
		s.socket.fd = int(fd)
		if missing := s.socket.fd + 1 - len(p.sessions); missing > 0 {
			p.sessions = append(p.sessions, make([]*session, missing)...)
		}
		p.sessions[s.socket.fd] = s
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

// remove forgets a session, whose descriptor may be another's by now.
func (p *poller) remove(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd := s.socket.fd; fd < len(p.sessions) && p.sessions[fd] == s {
		p.sessions[fd] = nil
	}
}

// run wakes sessions until ctx ends.
func (p *poller) run(ctx context.Context) error {
	defer func() { _ = p.file.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = p.file.Close() }) // ends the wait
	defer stop()
	events := make([]syscall.EpollEvent, pollAtOnce)
	woken := make([]*session, 0, pollAtOnce)
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
			if s := p.sessions[event.Fd]; s != nil {
				if event.Events&hangsUp != 0 {
					s.socket.hungUp.Store(true)
				}
				woken = append(woken, s)
			}
		}
		p.mu.Unlock()
		for _, s := range woken {
			s.wake()
		}
		clear(woken)
		woken = woken[:0]
	}
}
