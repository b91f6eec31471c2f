package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// perAddress is how many connections come from one loopback address: far
	// below the ports that one has.
	perAddress = 8000
	dialTime   = 2 * time.Minute
)

// Connect connects members, with at most so many handshakes at once.
func (f *Fleet) Connect(ctx context.Context, members []*Member, atOnce int) error {
	f.dialing = append(f.dialing, members...)
	return f.Await(ctx, dialTime, "connect", func() bool {
		f.dial(atOnce)
		return len(f.dialing) == 0 && f.inHand == 0
	})
}

// dial begins handshakes up to so many at once.
func (f *Fleet) dial(atOnce int) {
	for len(f.dialing) > 0 && f.inHand < atOnce && f.failure == nil {
		m := f.dialing[0]
		f.dialing = f.dialing[1:]
		f.inHand++
		if err := f.connect(m); err != nil {
			f.fail("member %d: connect: %w", m.Index, err)
		}
	}
}

func (f *Fleet) connect(m *Member) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for len(f.sockets) <= fd {
		f.sockets = append(f.sockets, nil)
	}
	f.sockets[fd], m.fd, m.stage = m, fd, connecting
	if err := m.prepare(); err != nil {
		return err
	}
	if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(fd)}); err != nil {
		return err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: f.server.Addr().As4(), Port: int(f.server.Port())})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return nil
}

// prepare gives the socket its source address and its options.
func (m *Member) prepare() error {
	// The port is chosen at connect, when the destination is known.
	if err := unix.SetsockoptInt(m.fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(m.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if m.narrow {
		// Loopback's segments of 64 KB make the kernel hold megabytes for a
		// reader; those of a real network let its slowness be felt.
		if err := unix.SetsockoptInt(m.fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, narrowSegment); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(m.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, narrowBuffer); err != nil {
			return err
		}
	}
	return unix.Bind(m.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + m.Index/perAddress)}})
}

const (
	narrowSegment = 1200
	narrowBuffer  = 4 << 10
)

// connected begins the handshake, as a browser writes it.
func (f *Fleet) connected(m *Member) {
	if code, err := unix.GetsockoptInt(m.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || code != 0 {
		f.fail("member %d: connect: %v", m.Index, errors.Join(err, unix.Errno(code)))
		return
	}
	m.stage = upgrading
	f.modify(m, unix.EPOLLIN)
	path, protocol := f.dialect.Endpoint()
	f.frames = fmt.Appendf(f.frames[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nOrigin: http://%s\r\n%s", path, f.server, f.server, browserHeaders)
	if protocol != "" {
		f.frames = fmt.Appendf(f.frames, "Sec-WebSocket-Protocol: %s\r\n", protocol)
	}
	f.send(m, append(f.frames, "\r\n"...))
}

// browserHeaders are what a browser sends beside, with the cookies of a page
// that has a few.
var browserHeaders = "Connection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: es-ES,es;q=0.9,en;q=0.8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Cookie: session=" + strings.Repeat("0123456789abcdef", 32) + "; consent=" + strings.Repeat("x", 256) + "\r\n"

var headerEnd = []byte("\r\n\r\n")

// upgraded looks for the end of the handshake, says hello, and returns what
// follows.
func (f *Fleet) upgraded(m *Member, data []byte) []byte {
	answer, rest, whole := bytes.Cut(data, headerEnd)
	if !whole {
		return data
	}
	answer = bytes.ToLower(answer)
	if !bytes.HasPrefix(answer, []byte("http/1.1 101 ")) || bytes.Contains(answer, []byte("sec-websocket-extensions")) {
		f.fail("member %d: upgrade: %s", m.Index, answer)
		return nil
	}
	m.stage = greeting
	f.send(m, f.dialect.Hello(nil, &m.Session))
	return rest
}
