package hub

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// reader is one cursor's, and all that it was told.
type reader struct {
	w      *world
	name   string
	user   string
	outlet *Outlet
	cursor *Cursor
	except string // the session whose events are not for it

	life   int // of the channel
	origin uint64
	from   uint64 // position in the ring
	told   map[uint64]bool
	newest uint64 // of told
	place  uint64 // position in the ring behind the newest told
	owed   bool   // a gap, before anything else
	gaps   [][2]uint64
	heard  map[string]bool   // live events
	missed map[string]bool   // those that have left the ring before they were told
	said   map[string]uint64 // position in the ring of the newest heard, by event and sender
	late   bool              // something has left the ring before it was told
	placed int               // how often it was placed
	states int               // how often it was told who is there
	view   map[string]string
}

// Recheck makes it a [Reader].
func (r *reader) Recheck(context.Context, subjects.Channel) error { return nil }

// anew has the reader begin again with another past.
func (r *reader) anew(life int, origin uint64) {
	r.life, r.origin, r.told, r.newest, r.gaps, r.owed = life, origin, map[uint64]bool{}, 0, nil, true
}

func (w *world) newReader() *reader {
	r := &reader{
		w: w, name: fmt.Sprint("reader ", len(w.readers)), user: oneOf(w.random, "ana", "luis", "marta"), outlet: new(Outlet),
		heard: map[string]bool{}, missed: map[string]bool{}, said: map[string]uint64{},
		except: oneOf(w.random, "", "", "mine"),
	}
	r.outlet.Open(w.hub, r, nil, oneOf(w.random, plain, plain, deflated), nil, 1<<20)
	r.subscribe()
	w.readers = append(w.readers, r)
	return r
}

// subscribe places a cursor for the reader, instead of the one it had.
func (r *reader) subscribe() {
	w, ch := r.w, r.w.ch
	if ch.anew != nil {
		w.begun()
	}
	m := Lasting
	if chance(w.random, 2) && ch.Durable() {
		m = Membership{user: r.user, since: w.lastEnd(r.user)}
	}
	fresh := NewCursor(r.outlet, ch, m, chance(w.random, 2))
	fresh.Except = r.except
	since, replay := r.wish()
	request := wire.Subscribe{Ref: "1", Anew: chance(w.random, 4)}
	var ok wire.OK
	if proof := ch.placeOf(since); replay && since > 0 && since >= ch.ring.floor && since <= ch.ring.last {
		request.Since = new(ch.position(proof))
		request.Since.Sequence = since
		if proof.Sequence != since {
			request.Since.At = proof.At.Truncate(0)
			replay = false
			request.Since = nil
		}
	} else if replay {
		ok = r.seekFar(fresh, since)
	}
	if !replay || request.Since != nil {
		var err error
		if ok, err = fresh.Seek(w.Context(), request); err != nil {
			w.Fatal(err)
		}
	}
	if !replay {
		since = ch.ring.last
	}
	if (ok.Replaying != nil) != replay && ch.Durable() {
		w.Errorf("%s: replaying %v, asked %v", r.name, ok.Replaying, replay)
	}
	if replay && !w.flying() && !w.removed() {
		if want := w.factsAfter(since); *ok.Replaying != want {
			w.Errorf("%s: %d facts follow %d, told %d", r.name, want, since, *ok.Replaying)
		}
	}
	wider := replay && (since < r.origin || request.Anew && since < max(r.newest, r.origin))
	old := r.cursor
	if old != nil {
		fresh.TakeOver(old, ok, request.Anew)
	}
	if old == nil || wider {
		if old == nil || !r.owed {
			r.life, r.origin, r.told, r.newest, r.gaps = ch.life, since, map[uint64]bool{}, 0, nil
			r.place, r.from, r.heard = 0, ch.ring.head(), map[string]bool{}
		}
	}
	r.cursor, r.view = fresh, nil
	r.placed++
	r.outlet.cursors = map[string]*Cursor{ch.label: fresh}
}

// wish is behind which fact the reader wants to begin, if not at the end.
func (r *reader) wish() (since uint64, replay bool) {
	w := r.w
	if !w.ch.Durable() || r.owed || chance(w.random, 3) {
		return 0, false
	}
	if chance(w.random, 6) && !w.flying() { // another node was faster
		return w.ch.ring.last + uint64(w.random.IntN(3)), true
	}
	if chance(w.random, 4) && r.told != nil {
		return min(r.newest, w.ch.ring.last), r.newest > 0
	}
	return w.random.Uint64N(w.ch.ring.last + 1), true
}

// seekFar is Seek for a place that only the stream can prove.
func (r *reader) seekFar(c *Cursor, since uint64) (ok wire.OK) {
	ch := c.channel
	if since < ch.ring.floor && ch.pages.covering(since) == nil {
		r.w.page(since)
	}
	if page := ch.pages.covering(since); page != nil && page.known < ch.ring.floor {
		ch.pages.forget(page)
		return r.seekFar(c, since)
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	c.life = ch.life
	c.position, c.sequence = ch.ring.head(), ch.ring.last
	c.from, c.presenceFrom = c.position, c.position
	c.askState()
	c.origin = since
	missed := c.rewind(since)
	ok.Replaying, ok.Position = &missed, new(ch.position(ch.head()))
	return ok
}

// flying says that the stream has facts that the channel does not know of.
func (w *world) flying() bool {
	return len(w.facts) > 0 && w.facts[len(w.facts)-1].Sequence > w.ch.ring.last
}

func (w *world) removed() bool { return len(w.facts) > 0 && w.facts[0].removed }

func (w *world) factsAfter(sequence uint64) (n uint64) {
	for _, f := range w.facts {
		if f.Sequence > sequence {
			n++
		}
	}
	return n
}

// lastEnd is the newest fact that ended a user's memberships.
func (w *world) lastEnd(user string) (sequence uint64) {
	for _, f := range w.facts {
		if f.ends.Has(user) && f.Sequence <= w.ch.ring.last {
			sequence = f.Sequence
		}
	}
	return sequence
}

// stop is the fact behind which the reader may be told nothing, or 0.
func (r *reader) stop() uint64 {
	for _, f := range r.w.facts {
		if r.cursor.member.endedBy(&entry{sequence: f.Sequence, ends: f.ends}) {
			return f.Sequence
		}
	}
	return 0
}

// attach has the reader take part from now on.
func (r *reader) attach() {
	if r.cursor.life != r.w.ch.life && r.cursor.stage == placed { // live events come from now on
		r.from = r.w.ch.ring.head()
	}
	r.w.ch.Attach(r.cursor)
	r.w.settle()
}

// admit has the bucket say that the reader is a member now.
func (r *reader) admit() {
	if r.cursor.member != Lasting {
		r.cursor.Admit(Membership{user: r.user, since: r.w.lastEnd(r.user)})
	}
}

// flush has the reader told what one write takes.
func (r *reader) flush() {
	c, ch := r.cursor, r.w.ch
	out, others := new(output), 0
	if chance(r.w.random, 8) { // of other cursors of the connection
		others = 1 + r.w.random.IntN(chunkBytes)
		out.add(make([]byte, others))
	}
	ch.mu.Lock()
	nothing := c.done()
	c.gather(out)
	want := c.behind && c.stage == attached && ch.anew == nil && !c.stopped() && ch.pages.covering(c.sequence) == nil
	after := c.sequence
	ch.mu.Unlock()
	if nothing && out.size > others {
		r.w.Errorf("%s: was told something although nothing was before it", r.name)
	}
	if out.size > others && (c.stage != attached || ch.anew != nil) {
		r.w.Errorf("%s: was told something too early", r.name)
	}
	joined, _ := out.join(nil)
	for _, notice := range notices(r.w, joined[others:]) {
		if notice.compressed && r.outlet.view == plain {
			r.w.Errorf("%s: was told in another's view", r.name)
		}
		r.hear(notice)
	}
	r.w.settle()
	if want && after < ch.ring.floor && chance(r.w.random, 2) {
		r.w.page(after)
	}
}

// Whoever reads, however slowly, and from wherever, is told each fact once and in
// order, or that it is gone; and of what is not stored, what is still there to be told.
func TestReadersAreToldAll(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			eachSeed(t, 40, func(t *testing.T, random *rand.Rand) {
				w := newWorld(t, random, kind)
				for step := range 300 {
					w.step()
					if t.Failed() {
						t.Fatalf("at step %d", step)
					}
				}
				w.rest()
				for _, r := range w.readers {
					r.complete()
				}
			})
		})
	}
}

func (w *world) step() {
	if len(w.readers) == 0 || chance(w.random, 60) {
		w.newReader()
	}
	r := oneOf(w.random, w.readers...)
	switch draw := w.random.IntN(100); {
	case draw < 15:
		w.say()
	case draw < 25:
		w.seats()
	case draw < 30:
		w.ch.flushPresence()
		w.settle()
	case draw < 33:
		r.subscribe()
	case draw < 40:
		r.attach()
	case draw < 43:
		r.admit()
	case draw < 60:
		r.flush()
	case !w.ch.Durable():
	case draw < 70:
		w.publish()
	case draw < 88:
		w.deliver()
	case draw < 94:
		w.heal()
	case draw < 96:
		w.compare()
	case draw < 98:
		w.begun()
	case draw < 99:
		w.remove()
	case chance(w.random, 3):
		w.begin()
	}
}

// rest has everything come that must, and everyone read all.
func (w *world) rest() {
	w.begun()
	for _, r := range w.readers {
		r.attach()
		r.admit()
	}
	w.sent = len(w.facts)
	w.compare()
	w.heal()
	w.ch.flushPresence()
	w.settle()
	for _, r := range w.readers {
		for range 200 {
			r.flush()
		}
	}
}
