package fleet

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/latido/latido/tests/load/count"
	"github.com/latido/latido/tests/load/dialect"
)

// Feed is a channel and how much was published to it.
type Feed struct {
	dialect.Channel
	Published uint32
}

// Member is one client.
type Member struct {
	dialect.Session
	Receipt count.Receipt // of what it follows

	fd      int
	stage   stage
	narrow  bool // its socket holds little, as that of a browser far away
	partial []byte
	waiting []byte // what the socket did not take yet
	queue   []byte // publishes of this turn
	hint    int    // where in an event the stamp was last
	follows *Feed  // what is counted, or nil
	tracks  bool   // counts the joins of others instead
	since   int64  // when it joined: those who did before are not counted
	returns bool   // asks for what it missed as soon as it is let in
}

// stage is how far a member's connection has come.
type stage uint8

const (
	away       stage = iota // no connection
	connecting              // until the socket can be written
	upgrading               // until the server has switched protocols
	greeting                // until the server has let the session in
	ready
)

// Lost is how much of what was published to the feed it follows the member lacks.
func (m *Member) Lost() uint64 {
	if m.follows == nil {
		return 0
	}
	return m.Receipt.Lost(m.follows.Published)
}

// Recruit adds members. Users are named by their index in the fleet.
func (f *Fleet) Recruit(n int) []*Member {
	first := len(f.members)
	for i := first; i < first+n; i++ {
		user := fmt.Sprintf("u%d", i)
		f.members = append(f.members, &Member{
			Session: dialect.Session{Index: i, User: user, Token: f.token(user)}, fd: -1,
		})
	}
	return f.members[first:]
}

// serve takes the events of one socket.
func (f *Fleet) serve(m *Member, events uint32) {
	switch {
	case m.stage == connecting:
		f.connected(m)
		return
	case events&unix.EPOLLOUT != 0 && len(m.waiting) > 0:
		f.push(m)
	}
	if events&^unix.EPOLLOUT != 0 && m.fd >= 0 {
		f.read(m)
	}
}

func (f *Fleet) read(m *Member) {
	kept := copy(f.buffer, m.partial)
	n, errno := read(m.fd, f.buffer[kept:])
	if n <= 0 {
		if errno != unix.EAGAIN && errno != unix.EINTR {
			f.fail("member %d: closed by the server (%v)", m.Index, errno)
			f.cut(m)
		}
		return
	}
	f.now = f.clock()
	data := f.buffer[:kept+n]
	if m.stage == upgrading {
		data = f.upgraded(m, data)
	}
	if m.stage > upgrading {
		data = f.dialect.Scan(&m.Session, data, f)
	}
	m.partial = append(m.partial[:0], data...)
}

// request opens a request that is not a publish.
func (f *Fleet) request() uint32 {
	f.lastID++
	f.sent[f.lastID%requests] = 0
	f.open++
	return f.lastID
}

// send gives frames to a member's socket, or to what waits for it.
func (f *Fleet) send(m *Member, frames []byte) {
	if len(m.waiting) > 0 {
		m.waiting = append(m.waiting, frames...)
		return
	}
	n, errno := write(m.fd, frames)
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		f.fail("member %d: write: %v", m.Index, errno)
		return
	}
	if rest := frames[max(n, 0):]; len(rest) > 0 {
		m.waiting = append(m.waiting, rest...)
		f.modify(m, unix.EPOLLIN|unix.EPOLLOUT)
	}
}

// push writes what waits.
func (f *Fleet) push(m *Member) {
	n, errno := write(m.fd, m.waiting)
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		f.fail("member %d: write: %v", m.Index, errno)
		return
	}
	if m.waiting = m.waiting[max(n, 0):]; len(m.waiting) == 0 {
		m.waiting = nil
		f.modify(m, unix.EPOLLIN)
	}
}

func (f *Fleet) modify(m *Member, events uint32) {
	if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_MOD, m.fd, &unix.EpollEvent{Events: events, Fd: int32(m.fd)}); err != nil {
		f.fail("member %d: epoll_ctl: %v", m.Index, err)
	}
}

// cut drops a member's connection as a lost network would, without a goodbye.
func (f *Fleet) cut(m *Member) {
	if m.fd < 0 {
		return
	}
	// A reset leaves no port behind that waits for late packets.
	_ = unix.SetsockoptLinger(m.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	f.sockets[m.fd] = nil
	_ = unix.Close(m.fd)
	m.fd, m.stage, m.partial, m.waiting = -1, away, nil, nil
	m.Reconnect()
}

// Cut drops the connections of members.
func (f *Fleet) Cut(members []*Member) {
	for _, m := range members {
		f.cut(m)
	}
}

// fail keeps the first thing that went wrong.
func (f *Fleet) fail(format string, args ...any) {
	if f.failure == nil {
		f.failure = fmt.Errorf(format, args...)
	}
}

// read and write do not tell the scheduler: they never block.
func read(fd int, data []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)))
	return int(n), errno
}

func write(fd int, data []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))), uintptr(len(data)))
	return int(n), errno
}
