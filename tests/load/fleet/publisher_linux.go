package fleet

import (
	"bytes"
	"time"

	"github.com/latido/latido/tests/load/stamp"
)

// Publisher publishes to feeds in turn, at a rate or as fast as what is in flight
// allows.
type Publisher struct {
	From     []*Member // the i-th feed is published to by From[i % len(From)]
	Feeds    []*Feed
	Audience int     // members who follow each feed and are counted
	Rate     float64 // publishes per second; 0 is as fast as Window allows
	Window   int     // publishes in flight, until all of the audience have them
	Size     int     // of a body, in bytes
	Limit    uint64  // publishes in all; 0 is no limit

	Published uint64
	Stalls    int // times that the window was opened by force: what was in flight is lost

	fleet     *Fleet
	begun     int64
	delivered uint64 // by this publisher's account: what was delivered or given up
	seen      uint64 // fleet.Delivered when last looked at
	answered  uint64
	seenAck   uint64
	moved     int64 // when something was last delivered
	padding   []byte
	queued    []*Member
	body      []byte
}

// Publisher readies a publisher. Its counts are the fleet's: one at a time.
func (f *Fleet) Publisher(p Publisher) *Publisher {
	f.now = f.clock()
	p.fleet, p.begun, p.moved = f, f.now, f.now
	p.seen, p.seenAck = f.Delivered, f.Answered
	frame := len(`{"text":"`) + stamp.Size + len(`"}`)
	p.padding = append(bytes.Repeat([]byte("x"), max(p.Size-frame, 0)), `"}`...)
	return &p
}

// Reset empties the fleet's counts, and the publisher's of what was published.
func (p *Publisher) Reset() {
	p.account()
	p.fleet.Reset()
	p.seen, p.seenAck = 0, 0
}

// patience is how long nothing may move before what is in flight is given up.
const patience = int64(2 * time.Second)

// Pump publishes what is due.
func (p *Publisher) Pump() {
	p.account()
	if p.Rate > 0 {
		due := 1 + uint64(float64(p.fleet.now-p.begun)/1e9*p.Rate) // the first at once
		for p.Published < p.limited(due) {
			p.publish(p.begun + int64(float64(p.Published)/p.Rate*1e9))
		}
	} else {
		for upTo := p.limited(p.Published + p.room()); p.Published < upTo; {
			p.publish(p.fleet.now)
		}
	}
	for i, m := range p.queued {
		p.fleet.send(m, m.queue)
		m.queue = m.queue[:0]
		p.queued[i] = nil
	}
	p.queued = p.queued[:0]
}

func (p *Publisher) limited(published uint64) uint64 {
	if p.Limit > 0 {
		return min(published, p.Limit)
	}
	return published
}

// room is how many more publishes may be sent now: none until half of the window
// has landed. Clients that sent one for each that landed would fall into step with
// a server that writes one at a time, and be what limits it.
func (p *Publisher) room() uint64 {
	window, flying := uint64(p.Window), uint64(0)
	if p.answers() {
		flying = p.Published - min(p.answered, p.Published)
	}
	if audience := uint64(p.Audience); audience > 0 {
		expected := p.Published * audience
		flying = max(flying, (expected-min(p.delivered, expected)+audience-1)/audience)
	}
	if flying <= window/2 {
		return window - flying
	}
	if p.fleet.now-p.moved <= patience {
		return 0
	}
	p.Stalls++
	p.delivered, p.answered, p.moved = p.Published*uint64(p.Audience), p.Published, p.fleet.now
	return window
}

func (p *Publisher) answers() bool { return p.fleet.dialect.Answers(&p.Feeds[0].Channel) }

// account takes over what the fleet has counted since the last time.
func (p *Publisher) account() {
	delivered, answered := p.fleet.Delivered-p.seen, p.fleet.Answered-p.seenAck
	if delivered+answered > 0 {
		p.moved = p.fleet.now
	}
	p.delivered += delivered
	p.answered += answered
	p.seen, p.seenAck = p.fleet.Delivered, p.fleet.Answered
}

// Done says whether everything was published, delivered and answered.
func (p *Publisher) Done() bool {
	p.account()
	return p.Published >= p.Limit && (p.answered >= p.Published || !p.answers()) && p.delivered >= p.Published*uint64(p.Audience)
}

func (p *Publisher) publish(due int64) {
	f := p.fleet
	turn := int(p.Published % uint64(len(p.Feeds)))
	feed, m := p.Feeds[turn], p.From[turn%len(p.From)]
	p.body = stamp.Append(append(p.body[:0], `{"text":"`...), feed.Published, due)
	p.body = append(p.body, p.padding...)
	f.lastID++
	f.sent[f.lastID%requests] = max(due, 1)
	if len(m.queue) == 0 {
		p.queued = append(p.queued, m)
	}
	m.queue = f.dialect.Publish(m.queue, &m.Session, f.lastID, &feed.Channel, p.body)
	feed.Published++
	p.Published++
}
