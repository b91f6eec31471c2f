package floor

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/latido/latido/tests/load/frame"
)

// mostWaiting bounds what waits for a subscriber that does not read. Beyond it
// the newest is left out.
const mostWaiting = 1 << 20

// connection is one client. While nothing waits it holds no buffer.
type connection struct {
	fd       int
	upgraded bool
	gone     bool
	partial  []byte // an incomplete request
	answers  []byte
	waiting  []byte // what the socket did not take
}

func (s *Server) read(c *connection) {
	kept := copy(s.buffer, c.partial)
	n, err := unix.Read(c.fd, s.buffer[kept:])
	if n <= 0 {
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			s.drop(c)
		}
		return
	}
	data := s.buffer[:kept+n]
	if !c.upgraded {
		data = s.upgrade(c, data)
	}
	for c.upgraded {
		opcode, payload, size := frame.CutClient(data)
		if size == 0 {
			break
		}
		data = data[size:]
		if opcode == frame.Close {
			s.drop(c)
			return
		}
		if request, ok := ParseRequest(payload); ok {
			s.do(c, request)
		}
	}
	if c.partial = c.partial[:0]; len(data) > 0 {
		c.partial = append(c.partial, data...)
	} else {
		c.partial = nil
	}
}

var (
	headerEnd = []byte("\r\n\r\n")
	keyName   = []byte("Sec-WebSocket-Key: ")
)

// upgrade answers the handshake once it is whole, and returns what follows it.
func (s *Server) upgrade(c *connection, data []byte) []byte {
	headers, rest, whole := bytes.Cut(data, headerEnd)
	if !whole {
		return data
	}
	_, key, _ := bytes.Cut(headers, keyName)
	key, _, _ = bytes.Cut(key, headerEnd[:2])
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	c.upgraded = true
	s.write(c, []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n"))
	return rest
}

func (s *Server) do(c *connection, r Request) {
	room := s.room(r.Room)
	switch r.Operation {
	case Subscribe, Replay:
		s.flushRoom(room) // what came before is not for the newcomer
		room.members = append(room.members, c)
		s.answer(c, r.ID)
		if r.Operation == Replay {
			c.answers = append(c.answers, room.kept...)
		}
	case Publish, Keep:
		if len(room.fresh) == 0 {
			s.dirty = append(s.dirty, room)
		}
		before := len(room.fresh)
		room.fresh = frame.AppendServer(room.fresh, frame.Text, r.Body)
		if r.Operation == Keep {
			room.keep(room.fresh[before:])
			s.journal.add(r.Body)
		}
		s.answer(c, r.ID)
	}
}

func (s *Server) answer(c *connection, id uint32) {
	if len(c.answers) == 0 {
		s.answered = append(s.answered, c)
	}
	c.answers = frame.AppendServer(c.answers, frame.Text, AppendAnswer(nil, id))
}

// write gives data to the socket, or to what waits for it.
func (s *Server) write(c *connection, data []byte) {
	if c.gone {
		return
	}
	if len(c.waiting) > 0 {
		if len(c.waiting)+len(data) <= mostWaiting {
			c.waiting = append(c.waiting, data...)
		}
		return
	}
	n, err := unix.Write(c.fd, data)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		s.drop(c)
		return
	}
	if rest := data[max(n, 0):]; len(rest) > 0 {
		c.waiting = append(c.waiting, rest...)
		s.modify(c, unix.EPOLLIN|unix.EPOLLOUT)
	}
}

// resume writes what waits, and says whether the connection is still there.
func (s *Server) resume(c *connection) bool {
	n, err := unix.Write(c.fd, c.waiting)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		s.drop(c)
		return false
	}
	if c.waiting = c.waiting[max(n, 0):]; len(c.waiting) == 0 {
		c.waiting = nil
		s.modify(c, unix.EPOLLIN)
	}
	return true
}

func (s *Server) modify(c *connection, events uint32) {
	if unix.EpollCtl(s.epoll, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.fd)}) != nil {
		s.drop(c)
	}
}

// drop forgets a connection. Its rooms notice when they are written next.
func (s *Server) drop(c *connection) {
	if c.gone {
		return
	}
	c.gone = true
	s.connections[c.fd] = nil
	_ = unix.Close(c.fd)
}
