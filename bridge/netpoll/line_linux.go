package netpoll

import (
	"time"

	"golang.org/x/sys/unix"
)

// Line is how far TCP has come with what was written, tcp(7).
type Line struct {
	Acked  uint64        // bytes that the peer's machine has confirmed
	Silent time.Duration // for how long it has confirmed nothing, while something waits for that
}

// Line asks TCP. What is not known is zero.
func (s *Socket) Line() (now Line) {
	if s.raw == nil {
		return Line{}
	}
	// A closed connection has no line to ask, which is as good as none.
	_ = s.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		now.Acked = info.Bytes_acked
		if info.Unacked > 0 {
			now.Silent = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
	})
	return now
}
