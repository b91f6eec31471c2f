package netpoll

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ReadSize is what one read takes from a socket, in bytes. The buffers are shared: a
// socket holds one while its bytes are being handled, and for all its time where it
// is read the plain way.
const ReadSize = 4 << 10

var readBuffers = sync.Pool{New: func() any { return new([ReadSize]byte) }}

// Socket is a connection after its handshake. A TCP socket is waited for without
// a buffer and written without blocking; any other kind, such as TLS in process,
// takes the plain way. Call Open, and then Start, once each; whoever serves it is
// the only one that reads, and one goroutine at a time writes.
type Socket struct {
	conn net.Conn
	raw  syscall.RawConn // nil for the plain way

	early []byte // read together with the handshake, and not handled yet

	polled bool // reading does not wait: the poller does
	fd     int  // of the poller
	hungUp atomic.Bool

	poller *Poller
	pool   *Pool
	server Server
	state  atomic.Int32 // whether it is served
}

// ErrNothing is returned by a polled socket that has nothing to read for now.
var ErrNothing = errors.New("nothing to read")

// Open takes a connection, and what has been read from it already. From Start on
// workers of the pool have server serve it whenever there is something to read.
func (s *Socket) Open(conn net.Conn, early []byte, poller *Poller, pool *Pool, server Server) {
	s.conn, s.early, s.poller, s.pool, s.server = conn, early, poller, pool, server
	if tcp, ok := conn.(*net.TCPConn); ok && rawSockets {
		if raw, err := tcp.SyscallConn(); err == nil {
			s.raw = raw
		}
	}
	s.state.Store(served) // until it is parked for the first time
}

// Close ends the connection, from any goroutine and more than once: whoever reads
// or writes it fails.
func (s *Socket) Close() {
	_ = s.conn.Close() // the peer may have closed it already
}

// Forget has the poller not wait for the socket any longer. It is the last call.
func (s *Socket) Forget() { s.poller.remove(s) }

// Read waits for bytes, unless the poller does, and hands them to handle, which
// must not keep them. It tells when nothing is left.
func (s *Socket) Read(handle func([]byte) error) error {
	if early := s.early; early != nil {
		s.early = nil
		return handle(early)
	}
	var buffer *[ReadSize]byte
	var n int
	var err error
	if s.raw == nil {
		buffer = readBuffers.Get().(*[ReadSize]byte)
		n, err = s.conn.Read(buffer[:])
	} else {
		waitErr := s.raw.Read(func(fd uintptr) bool {
			buffer = readBuffers.Get().(*[ReadSize]byte)
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
		case wouldBlock(err), s.polled && err == nil && n < ReadSize && !s.hungUp.Load():
			err = ErrNothing // epoll(7): a short read has emptied the socket
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

// Waits says that writing waits for the socket, which goes the plain way: TryWrite takes
// nothing, however much room there is.
func (s *Socket) Waits() bool { return s.raw == nil }

// TryWrite writes what the socket takes at once.
func (s *Socket) TryWrite(data []byte) (int, error) {
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

// WriteAll waits until the socket has taken all; progress is told of each part
// it took.
func (s *Socket) WriteAll(data []byte, progress func()) error {
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

// Farewell is how long the peer has to answer a close frame.
const Farewell = 2 * time.Second

// ExpectEnd gives the peer some time to read what was sent and answer it, unless
// there is nothing to wait for.
func (s *Socket) ExpectEnd(now bool) {
	end := time.Now()
	if !now {
		end = end.Add(Farewell)
	}
	_ = s.conn.SetReadDeadline(end) // it fails on a closed connection, which is as good
}

// ReadEarly reads what a wrapper of a connection has buffered, without waiting for
// more.
func ReadEarly(conn net.Conn, deadline func(time.Time) error) (early []byte) {
	// Behind a deadline that has passed only what is in the buffer is read.
	_ = deadline(time.Unix(1, 0)) // a closed connection is noticed when it is served
	buffer := readBuffers.Get().(*[ReadSize]byte)
	defer readBuffers.Put(buffer)
	for {
		n, err := conn.Read(buffer[:])
		early = append(early, buffer[:n]...)
		if err != nil {
			break
		}
	}
	_ = deadline(time.Time{})
	return early
}
