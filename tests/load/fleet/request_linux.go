package fleet

import (
	"context"
	"time"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/stamp"
)

const (
	answerTime = time.Minute
	openAtOnce = 512 // requests that wait for an answer while many are made
)

// Subscribe lets members follow feeds: the i-th what feed(i) says. What comes is
// counted, when it is, of the last feed that a member follows.
func (f *Fleet) Subscribe(ctx context.Context, members []*Member, feed func(i int) *Feed, counted bool) error {
	return f.each(ctx, "subscribe", members, func(i int, m *Member) []byte {
		followed := feed(i)
		if counted {
			m.follows = followed
		}
		return f.dialect.Subscribe(f.frames[:0], &m.Session, f.request(), &followed.Channel)
	})
}

// Expect says what members follow once they return: the i-th what feed(i) says.
func (f *Fleet) Expect(members []*Member, feed func(i int) *Feed) {
	for i, m := range members {
		m.follows = feed(i)
	}
}

// Return connects members again, all at once, each of which asks for what it
// missed as soon as it is let in. It returns when so many events have come since,
// and says how long that took; latencies count from its beginning.
func (f *Fleet) Return(ctx context.Context, members []*Member, events uint64, limit time.Duration) (time.Duration, error) {
	for _, m := range members {
		m.returns = true
	}
	f.origin = f.clock()
	f.dialing = append(f.dialing, members...)
	err := f.Await(ctx, limit, "return", func() bool {
		f.dial(len(members))
		return f.Delivered >= events
	})
	took := time.Duration(f.now - f.origin)
	f.origin = 0
	return took, err
}

// Open opens feeds, where the server wants that; the i-th by its publisher.
func (f *Fleet) Open(ctx context.Context, publishers []*Member, feeds []*Feed) error {
	opener, needed := f.dialect.(dialect.Opener)
	if !needed || !opener.Opens(&feeds[0].Channel) {
		return nil
	}
	by := make([]*Member, len(feeds))
	for i := range feeds {
		by[i] = publishers[i%len(publishers)]
	}
	return f.each(ctx, "open", by, func(i int, m *Member) []byte {
		return opener.Open(f.frames[:0], &m.Session, f.request(), &feeds[i].Channel)
	})
}

// Track lets a member follow the presence of a channel and join it.
func (f *Fleet) Track(m *Member, c *dialect.Channel) {
	tracker := f.dialect.(dialect.Tracker)
	f.now = f.clock()
	m.since, m.tracks = f.now, true
	first := f.request()
	f.request()
	meta := stamp.Append([]byte(`{"status":"online","t":"`), uint32(m.Index), f.now)
	f.frames = tracker.Track(f.frames[:0], &m.Session, first, c, append(meta, `"}`...))
	f.send(m, f.frames)
}

// Settled says whether every request but publishes is answered.
func (f *Fleet) Settled() bool { return f.open == 0 }

// each makes a request of each member, not all at once, and awaits the answers.
func (f *Fleet) each(ctx context.Context, what string, members []*Member, request func(int, *Member) []byte) error {
	next := 0
	return f.Await(ctx, answerTime, what, func() bool {
		for ; next < len(members) && f.open < openAtOnce; next++ {
			f.frames = request(next, members[next])
			f.send(members[next], f.frames)
		}
		return next == len(members) && f.Settled()
	})
}
