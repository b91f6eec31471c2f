package bridge

import (
	"time"

	"golang.org/x/sys/unix"
)

// line is how far TCP has come with what was written, tcp(7).
type line struct {
	acked  uint64        // bytes that the peer's machine has confirmed
	silent time.Duration // for how long it has confirmed nothing, while something waits for that
}

// line asks TCP. What is not known is zero.
func (s *socket) line() (now line) {
	if s.raw == nil {
		return line{}
	}
	// A closed connection has no line to ask, which is as good as none.
	_ = s.raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		now.acked = info.Bytes_acked
		if info.Unacked > 0 {
			now.silent = time.Duration(info.Last_ack_recv) * time.Millisecond
		}
	})
	return now
}
