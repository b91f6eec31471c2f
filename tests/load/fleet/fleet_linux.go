// Package fleet is the many clients of a run: one thread, one epoll, no goroutine
// and no allocation per delivery. A delivery costs it the header of a frame and a
// stamp; so a core of it keeps up with a core of any server.
//
// A fleet spins: one that slept between events would add its own wake-ups to what
// it measures. It is not safe for concurrent use.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/latido/latido/tests/load/count"
	"github.com/latido/latido/tests/load/dialect"
)

const (
	readSize = 256 << 10
	eventsAt = 1024    // events taken by one epoll_wait
	requests = 1 << 17 // that may be open at once
	glances  = 1 << 10 // turns between two looks at the context
)

// Fleet drives its members. The counts are of all members since the last Reset.
type Fleet struct {
	Delivered     uint64          // stamped events that came
	Answered      uint64          // publishes that were answered
	Latency       count.Histogram // from publish to each delivery
	AnswerLatency count.Histogram // from publish to its answer
	Closed        int             // slow members that the server closed

	dialect dialect.Dialect
	server  netip.AddrPort
	token   func(user string) string

	epoll   int
	events  []unix.EpollEvent
	buffer  []byte
	frames  []byte // scratch for requests
	members []*Member
	sockets []*Member // by descriptor
	start   time.Time
	now     int64 // nanoseconds since start, at the last read
	failure error
	resting bool
	origin  int64 // when positive, latencies count from here

	lastID  uint32
	sent    []int64 // by id: when a publish was due, or 0 for other requests
	open    int     // other requests without an answer
	dialing []*Member
	inHand  int // members between connect and ready

	slow    []*Member
	sipAt   int64
	sipNext int
}

// New makes a fleet without members for a server. The token of a user proves to
// the server who it is.
func New(d dialect.Dialect, server netip.AddrPort, token func(user string) string) (*Fleet, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create: %w", err)
	}
	return &Fleet{
		dialect: d, server: server, token: token, epoll: epoll, start: time.Now(),
		events: make([]unix.EpollEvent, eventsAt), buffer: make([]byte, readSize), sent: make([]int64, requests),
	}, nil
}

// Dialect is how the fleet speaks.
func (f *Fleet) Dialect() dialect.Dialect { return f.dialect }

// Rest makes the fleet sleep between events, or spin again. It is for phases in
// which nothing is timed.
func (f *Fleet) Rest(resting bool) { f.resting = resting }

// Reset empties the counts and histograms.
func (f *Fleet) Reset() {
	f.Delivered, f.Answered = 0, 0
	f.Latency.Reset()
	f.AnswerLatency.Reset()
}

// Close drops all connections without a goodbye.
func (f *Fleet) Close() {
	for _, m := range f.members {
		f.cut(m)
	}
	_ = unix.Close(f.epoll)
}

// ErrTooLong is returned when what was awaited did not happen.
var ErrTooLong = errors.New("not in time")

// Await drives the fleet until done, which is asked after each turn.
func (f *Fleet) Await(ctx context.Context, limit time.Duration, what string, done func() bool) error {
	until := f.clock() + int64(limit)
	for turn := 1; !done(); turn++ {
		if err := f.turn(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if turn%glances != 0 && !f.resting {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if f.now > until {
			return fmt.Errorf("%s: %w", what, ErrTooLong)
		}
	}
	return nil
}

// Drive drives the fleet for a while, and calls step after each turn.
func (f *Fleet) Drive(ctx context.Context, d time.Duration, step func()) error {
	until := f.clock() + int64(d)
	return f.Await(ctx, d+time.Minute, "drive", func() bool {
		step()
		return f.now >= until
	})
}

// turn takes what has come.
func (f *Fleet) turn() error {
	timeout := 0
	if f.resting {
		timeout = 2 // milliseconds
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(f.epoll), uintptr(unsafe.Pointer(&f.events[0])), uintptr(len(f.events)), uintptr(timeout), 0, 0)
	f.now = f.clock()
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", errno)
	}
	if errno == 0 {
		for i := range f.events[:n] {
			if m := f.sockets[f.events[i].Fd]; m != nil {
				f.serve(m, f.events[i].Events)
			}
		}
	}
	f.sip()
	return f.failure
}

func (f *Fleet) clock() int64 { return int64(time.Since(f.start)) }
