package bridge

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// readSize is what one read takes from a socket. The buffers are shared: a
// session holds one while its bytes are being handled, and for all its time where
// it is read the plain way.
const readSize = 4 << 10

var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// socket is a connection after its handshake. A TCP socket is waited for without
// a buffer and written without blocking; any other kind, such as TLS in process,
// takes the plain way.
type socket struct {
	conn net.Conn
	raw  syscall.RawConn // nil for the plain way

	early []byte // read together with the handshake, and not handled yet

	polled bool // reading does not wait: the poller does
	fd     int  // of the poller
	hungUp atomic.Bool
}

// errNothing is returned by a polled socket that has nothing to read for now.
var errNothing = errors.New("nothing to read")

func (s *socket) take(conn net.Conn) {
	s.conn = conn
	if tcp, ok := conn.(*net.TCPConn); ok && rawSockets {
		if raw, err := tcp.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
}

// read waits for bytes, unless the poller does, and hands them to handle, which
// must not keep them. It tells when nothing is left.
func (s *socket) read(handle func([]byte) error) error {
	if early := s.early; early != nil {
		s.early = nil
		return handle(early)
	}
	var buffer *[readSize]byte
	var n int
	var err error
	if s.raw == nil {
		buffer = readBuffers.Get().(*[readSize]byte)
		n, err = s.conn.Read(buffer[:])
	} else {
		waitErr := s.raw.Read(func(fd uintptr) bool {
			buffer = readBuffers.Get().(*[readSize]byte)
			n, err = readNow(fd, buffer[:])
			if wouldBlock(err) && !s.polled {
				readBuffers.Put(buffer)
				buffer = nil
				return false
			}
			return true
		})
		switch {
		case waitErr != nil:
			return waitErr
		case n == 0 && err == nil:
			err = io.EOF
		case wouldBlock(err), s.polled && err == nil && n < readSize && !s.hungUp.Load():
			err = errNothing // epoll(7): a short read has emptied the socket
		}
	}
	defer readBuffers.Put(buffer)
	if n > 0 {
		if err := handle(buffer[:n]); err != nil {
			return err
		}
	}
	return err
}

// tryWrite writes what the socket takes at once.
func (s *socket) tryWrite(data []byte) (int, error) {
	if s.raw == nil {
		return 0, nil
	}
	var n int
	var err error
	waitErr := s.raw.Write(func(fd uintptr) bool {
		n, err = writeNow(fd, data)
		return true
	})
	if waitErr != nil {
		return 0, waitErr
	}
	if wouldBlock(err) {
		return max(n, 0), nil
	}
	return max(n, 0), err
}

// writeAll waits until the socket has taken all; progress is told of each part
// it took.
func (s *socket) writeAll(data []byte, progress func()) error {
	if s.raw == nil {
		_, err := s.conn.Write(data)
		progress()
		return err
	}
	var err error
	waitErr := s.raw.Write(func(fd uintptr) bool {
		for len(data) > 0 {
			var n int
			n, err = writeNow(fd, data)
			if wouldBlock(err) {
				err = nil
				return false
			}
			if err != nil {
				return true
			}
			data = data[n:]
			progress()
		}
		return true
	})
	return errors.Join(waitErr, err)
}

// farewell is how long the peer has to answer a close frame.
const farewell = 2 * time.Second

// expectEnd gives the peer some time to read what was sent and answer it, unless
// there is nothing to wait for.
func (s *socket) expectEnd(now bool) {
	end := time.Now()
	if !now {
		end = end.Add(farewell)
	}
	_ = s.conn.SetReadDeadline(end) // it fails on a closed connection, which is as good
}
