package fleet

import (
	"time"

	"golang.org/x/sys/unix"
)

// sipSize is what a slow member reads at a time, once a second.
const sipSize = 1 << 10

// Narrow makes members, which are not connected yet, ones whose sockets hold
// little.
func (f *Fleet) Narrow(members []*Member) {
	for _, m := range members {
		m.narrow = true
	}
}

// Slow makes members slow: from now on each reads 1 KB per second, whatever it is.
func (f *Fleet) Slow(members []*Member) {
	for _, m := range members {
		if err := unix.EpollCtl(f.epoll, unix.EPOLL_CTL_DEL, m.fd, nil); err != nil {
			f.fail("member %d: epoll_ctl: %v", m.Index, err)
		}
	}
	f.slow, f.sipAt = members, f.clock()
}

// sip reads from the slow members whose turn has come; they take turns.
func (f *Fleet) sip() {
	for len(f.slow) > 0 && f.now >= f.sipAt {
		f.sipAt += int64(time.Second) / int64(len(f.slow))
		f.sipNext = (f.sipNext + 1) % len(f.slow)
		m := f.slow[f.sipNext]
		if m.fd < 0 {
			continue
		}
		if n, errno := read(m.fd, f.buffer[:sipSize]); n <= 0 && errno != unix.EAGAIN && errno != unix.EINTR {
			f.Closed++
			f.cut(m)
		}
	}
}
