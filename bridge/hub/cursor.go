package hub

import (
	"cmp"
	"slices"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
)

// Cursor is one reader's subscription to one channel. After it was attached it belongs
// to the outlet's flusher, under the channel's lock.
type Cursor struct {
	place
	outlet  *Outlet
	channel *Channel
	slot    int // index in the channel's list of the flusher

	Watching bool // placed by a request to watch users, and ended by the next: the session's
}

// place is where a reader stands in a channel, and how it goes on: by steps that read
// no clock, start nothing and take no lock.
type place struct {
	at     *state
	reader Reader
	view   View
	mark   func(channel string, p wire.Position, alone bool) []byte // nil where readers remember where they are
	stage  stage

	life     int    // of the channel, in which the cursor was placed
	origin   uint64 // every fact above it was given out, or will be
	position uint64 // next entry of the ring, unless behind
	sequence uint64 // newest fact given out
	stop     uint64 // the fact behind which its reader may be told nothing; 0 for none
	behind   bool   // the ring does not hold what comes next: pages do
	late     bool   // it left the ring because its socket is slow
	ahead    bool   // sequence may be above what the ring holds
	open     bool   // its reader was promised nothing before its first event
	from     uint64 // live entries before this position are not for it

	member Membership // by which its reader may read

	// User is who its reader is on the channel. It is set before the cursor is attached.
	User string
	// Except is the session whose events are not for it, or "". It is set before the
	// cursor is attached.
	Except string

	presence     bool
	presenceFrom uint64 // changes of presence before this position are not for it
	restate      bool   // the whole state must be told before the next change
	asked        uint64 // differences that were told when restate was set
	gap          *wire.Gap
	start        *wire.Position // where it was placed, to be marked first; nil otherwise
}

// NewCursor returns a cursor that is to be placed: with who is there, or without.
func NewCursor(o *Outlet, ch *Channel, m Membership, presence bool) *Cursor {
	c := &Cursor{outlet: o, channel: ch, place: place{at: &ch.state, reader: o.reader, view: o.view, member: m, presence: presence}}
	if o.marker != nil {
		c.mark = o.mark
	}
	return c
}

// Behind says whether what comes next has to be read from the stream first.
func (c *Cursor) Behind() bool { return c.behind }

// Channel is the channel that the cursor is on.
func (c *Cursor) Channel() *Channel { return c.channel }

// stage is how far a cursor has come; it only goes forward.
type stage uint8

const (
	placed   stage = iota // not taking part yet: its subscribe is not answered
	attached              // in the channel's list
	dropped               // the subscription has ended
)

// done says that there is nothing before the cursor. The channel's lock is held.
func (c *place) done() bool {
	return c.position == c.at.ring.head() && !c.behind && !c.restate && c.gap == nil
}

// gather moves the cursor forward and puts what lies between into out, until
// out is full, or nothing is left, or a page has to be loaded first. The
// channel's lock is held.
func (c *place) gather(out *output) {
	if c.stage != attached || c.at.starting || c.stopped() {
		return
	}
	if c.start != nil {
		out.add(c.marked(*c.start, true))
		c.start = nil
	}
	if c.gap != nil {
		c.tellGap(*c.gap, out)
		c.gap = nil
	}
	ring := &c.at.ring
	if !c.behind && c.position < ring.base {
		c.fallBehind()
	}
	for c.behind && !c.stopped() {
		if c.sequence >= ring.floor {
			c.rejoin()
			break
		}
		page := c.at.pages.covering(c.sequence)
		if page == nil {
			c.at.out.loads = append(c.at.out.loads, c.sequence)
			return
		}
		if !c.takePage(page, out) {
			return
		}
	}
	if c.restate && c.stop == 0 && c.settled() {
		c.restate, c.presenceFrom = false, ring.head()
		c.tellState(out)
	}
	if c.late && !out.full() {
		c.catchUp(out)
	}
	for c.position < ring.head() && !out.full() && !c.stopped() {
		c.step(out)
	}
}

// catchUp gives a cursor that was late the whole ring at once, less what newer
// events have made moot.
func (c *place) catchUp(out *output) {
	ring := &c.at.ring
	c.late = false
	if len(c.at.kind.Conflate) == 0 || c.stop > 0 {
		return
	}
	wanted := make([]*entry, 0, ring.head()-c.position)
	for ; c.position < ring.head(); c.position++ {
		if e := ring.get(c.position); c.wants(e) {
			wanted = append(wanted, e)
		}
	}
	for _, e := range conflate(c.at.kind.Conflate, wanted) {
		c.tell(e, out)
	}
	c.sequence = max(c.sequence, ring.last)
}

// fallBehind is what becomes of a cursor whose next entry left the ring.
func (c *place) fallBehind() {
	ring := &c.at.ring
	c.late = true
	c.askState()
	if c.at.Durable() {
		c.behind = true
		return
	}
	c.at.out.skipped += ring.base - c.position
	c.position = ring.base
}

// rejoin continues a cursor that was behind in the ring. Of its facts it may have
// been given some, when it came from a node that was faster; of the rest nothing.
func (c *place) rejoin() {
	ring := &c.at.ring
	c.behind, c.open = false, false
	c.position, c.ahead = ring.base, c.sequence > ring.floor
	if c.presenceFrom < ring.base {
		c.askState()
	}
}

// takePage gives out what the page holds above the cursor, and says whether it
// came to the page's end. It stops behind a fact that ended the reader's membership.
func (c *place) takePage(page *page, out *output) bool {
	if page.lost && page.after >= c.sequence && !c.open {
		if to := page.oldest(); to > c.sequence+1 {
			missing := history.Range{From: c.sequence + 1, To: to - 1}
			c.tellGap(c.at.gap(missing, history.Position{Sequence: missing.To, At: page.lostAt}), out)
			c.sequence = missing.To
		}
	}
	entries, stop := c.within(page)
	if c.late {
		entries = conflate(c.at.kind.Conflate, entries)
	}
	for _, e := range entries {
		if out.full() {
			return false
		}
		c.tell(e, out)
		c.sequence, c.open = e.sequence, false
	}
	c.open = c.open && len(page.entries) == 0
	if stop == 0 {
		c.sequence = max(c.sequence, page.upTo)
		return true
	}
	c.sequence = max(c.sequence, stop)
	if c.stop == 0 {
		c.stopAt(stop)
	}
	return false
}

// within are those of a page's facts that the cursor is to give out, up to the one
// that ended its reader's membership, or 0 when that is not within the page.
func (c *place) within(page *page) (entries []*entry, stop uint64) {
	behind := func(sequence uint64) int {
		if i := slices.IndexFunc(page.entries, func(e *entry) bool { return e.sequence > sequence }); i >= 0 {
			return i
		}
		return len(page.entries)
	}
	first, last := behind(c.sequence), len(page.entries)
	if stop = cmp.Or(c.stop, c.member.end(page.entries[first:])); stop > page.upTo {
		stop = 0
	}
	if stop > 0 {
		last = max(first, behind(stop))
	}
	entries = page.entries[first:last]
	if c.Except != "" {
		entries = slices.DeleteFunc(slices.Clone(entries), c.echoes)
	}
	return entries, stop
}

// step gives out the entries from the cursor on. While every one of them is for
// every subscriber they come as one chunk that is joined once and shared, also with
// who leaves a session out that has no part in it; marks are for each reader alone.
func (c *place) step(out *output) {
	ring := &c.at.ring
	if c.mark != nil || c.ahead || c.restate || c.stop > 0 || c.position < c.from || c.presence && c.position < c.presenceFrom {
		c.stepOne(out)
		return
	}
	chunk := c.at.chunk(c.view, c.position, c.presence)
	if c.Except != "" && slices.ContainsFunc(ring.entries[c.position-ring.base:chunk.to-ring.base], c.echoes) {
		for c.position < chunk.to {
			c.stepOne(out)
		}
		return
	}
	out.add(chunk.bytes)
	c.position = chunk.to
	c.sequence = max(c.sequence, chunk.last)
}

// stepOne gives out the next entry of the ring, if it is for this cursor.
func (c *place) stepOne(out *output) {
	e := c.at.ring.get(c.position)
	if c.wants(e) {
		c.tell(e, out)
	}
	if e.sequence > c.sequence {
		c.sequence, c.ahead = e.sequence, false
	}
	c.position++
}

// echoes says whether an entry comes from the session that is left out.
func (c *place) echoes(e *entry) bool {
	if c.Except == "" {
		return false
	}
	event, is := e.notice.(wire.Event)
	return is && event.Session == c.Except
}

// tell gives out one entry, behind the mark of where it brings the reader.
func (c *place) tell(e *entry, out *output) {
	if c.mark != nil {
		if gap, hole := e.notice.(wire.Gap); hole {
			out.add(c.marked(gap.Position, false))
		} else if e.sequence > 0 {
			place := history.Position{Sequence: e.sequence, At: e.stored}
			out.add(c.marked(c.at.position(place), false))
		}
	}
	out.add(e.frame(c.view))
}

// marked is what stands before a notice behind which the reader is at a position, or
// a message alone.
func (c *place) marked(p wire.Position, alone bool) []byte {
	if c.mark == nil {
		return nil
	}
	return c.mark(c.at.label, p, alone)
}

func (c *place) tellGap(gap wire.Gap, out *output) {
	out.add(c.marked(gap.Position, false))
	out.add(c.view.encode(gap))
}

func (c *place) wants(e *entry) bool {
	switch {
	case c.echoes(e):
		return false
	case e.sequence > 0:
		return e.sequence > c.sequence
	case e.presence:
		return c.presence && !c.restate && c.position >= c.presenceFrom
	}
	return c.position >= c.from
}

// askState has the whole state told, if it is told at all.
func (c *place) askState() {
	if !c.presence || c.restate {
		return
	}
	c.restate = true
	if present := c.at.presence; present != nil {
		present.end(seat.Entry[Record].Overdue)
		c.asked = present.diffs
	}
}

// settled tells that the state holds all that had changed when it was asked for:
// who comes from another node may have been told there already. What has changed is
// told within tellInterval; while the bus is away nobody knows.
func (c *place) settled() bool {
	present := c.at.presence
	return present == nil || !c.at.degraded && present.settledSince(c.asked)
}

func (c *place) tellState(out *output) {
	if c.at.presence == nil {
		return
	}
	for _, frame := range c.at.presence.state(c.at.label, c.view) {
		out.add(frame)
	}
}
