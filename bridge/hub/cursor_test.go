package hub

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
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

// notice is any of those that a cursor gives.
type notice struct {
	Op, Event, From, Key string
	Sequence             uint64 `json:"seq"`
	Gap                  uint64 `json:"-"`
	To                   uint64
	Position             wire.Position
	State                *[]wire.Member
	Joins                []wire.Member
	Updates              []wire.Member
	Leaves               []wire.Member
	Count                int
	Data                 json.RawMessage
	compressed           bool
}

// notices takes frames apart.
func notices(t testing.TB, frames []byte) (all []notice) {
	t.Helper()
	for len(frames) > 0 {
		size, header := int(frames[1]), 2
		switch size {
		case 126:
			size, header = int(binary.BigEndian.Uint16(frames[2:])), 4
		case 127:
			size, header = int(binary.BigEndian.Uint64(frames[2:])), 10
		}
		payload := frames[header : header+size]
		compressed := frames[0] == 0xC1
		if compressed { // RFC 7692, section 7.2.2
			inflated, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), bytes.NewReader([]byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))))
			if err != nil {
				t.Fatal(err)
			}
			payload = inflated
		}
		frames = frames[header+size:]
		var n notice
		var texts struct{ From json.RawMessage }
		if err := json.Unmarshal(payload, &texts); err != nil {
			t.Fatalf("%v in %q", err, payload)
		}
		if json.Unmarshal(texts.From, &n.Gap) == nil { // of a gap it is a number
			var gap struct {
				Op       string
				To       uint64
				Position wire.Position
			}
			if err := json.Unmarshal(payload, &gap); err != nil {
				t.Fatal(err)
			}
			n.Op, n.To, n.Position = gap.Op, gap.To, gap.Position
		} else if err := json.Unmarshal(payload, &n); err != nil {
			t.Fatal(err)
		}
		n.compressed = compressed
		all = append(all, n)
	}
	return all
}

// hear judges what the reader is told.
func (r *reader) hear(n notice) {
	w := r.w
	stop := r.stop()
	switch {
	case n.Op == "gap":
		if r.owed {
			r.owed = false
			if n.Position.Epoch != w.ch.epoch || n.Position.Sequence != w.ch.oldest.Sequence {
				w.Errorf("%s: begins anew at %v", r.name, n.Position)
			}
			return
		}
		f := w.bySeq[n.To]
		if n.Gap == n.To && f != nil && f.unreadable && !f.removed {
			r.hearFact(f, stop)
			return
		}
		if n.To <= r.newest || n.Gap > n.To {
			w.Errorf("%s: a gap %d..%d behind %d", r.name, n.Gap, n.To, r.newest)
		}
		if !slices.ContainsFunc(w.facts, func(f *fact) bool { return f.removed && n.Gap <= f.Sequence && f.Sequence <= n.To }) {
			w.Errorf("%s: a gap %d..%d although nothing is gone", r.name, n.Gap, n.To)
		}
		r.gaps, r.newest = append(r.gaps, [2]uint64{n.Gap, n.To}), n.To
	case n.Op == "presence":
		r.seePresence(n)
	case n.Sequence > 0:
		f := w.bySeq[n.Sequence]
		if f == nil || f.Event.Event != n.Event || f.From != n.From || !bytes.Equal(f.Data, n.Data) {
			w.Fatalf("%s: what is %+v? want %+v", r.name, n, f)
		}
		r.hearFact(f, stop)
	default:
		event := w.live[n.Key]
		switch {
		case event == nil || event.Event.Event != n.Event || event.From != n.From || !bytes.Equal(event.Data, n.Data):
			w.Fatalf("%s: what is %+v? want %+v", r.name, n, event)
		case r.echoes(event.Event):
			w.Errorf("%s: %s is from the session that is left out", r.name, n.Key)
		case r.heard[n.Key]:
			w.Errorf("%s: %s twice", r.name, n.Key)
		case event.position < r.from:
			w.Errorf("%s: %s is from before %d", r.name, n.Key, r.from)
		case event.position < r.place:
			w.Errorf("%s: %s after what is at %d", r.name, n.Key, r.place-1)
		case stop > 0 && w.places[stop] != 0 && event.position > w.places[stop]:
			w.Errorf("%s: %s although the membership ended at %d", r.name, n.Key, w.places[stop])
		}
		r.heard[n.Key], r.place = true, max(r.place, event.position+1)
		r.said[event.Event.Event+event.From] = event.position
		r.early(n.Key)
	}
}

func (r *reader) early(what any) {
	if r.owed {
		r.w.Errorf("%s: %v before it is told that it begins anew", r.name, what)
	}
}

func (r *reader) hearFact(f *fact, stop uint64) {
	w, s := r.w, f.Sequence
	at, known := w.places[s]
	switch {
	case r.echoes(f.Event) && !f.unreadable:
		w.Errorf("%s: fact %d is from the session that is left out", r.name, s)
	case r.told[s]:
		w.Errorf("%s: fact %d twice", r.name, s)
	case s <= r.origin:
		w.Errorf("%s: fact %d is from before %d", r.name, s, r.origin)
	case s <= r.newest:
		w.Errorf("%s: fact %d after %d", r.name, s, r.newest)
	case known && at < r.place:
		w.Errorf("%s: fact %d, at %d, after what is at %d", r.name, s, at, r.place-1)
	case stop > 0 && s > stop:
		w.Errorf("%s: fact %d although the membership ended at %d", r.name, s, stop)
	}
	r.told[s], r.newest = true, max(r.newest, s)
	if known {
		r.place = max(r.place, at+1)
		r.said[f.Event.Event+f.From] = at
	}
	r.early(s)
}

// seePresence takes a state, or a change, which must be one of what was known.
func (r *reader) seePresence(n notice) {
	w := r.w
	if !r.cursor.presence {
		w.Errorf("%s: was told of presence", r.name)
	}
	if n.State != nil {
		r.view = map[string]string{}
		r.states++
		for _, m := range *n.State {
			r.view[m.Ref] = string(m.Meta)
		}
		return
	}
	if r.view == nil {
		w.Errorf("%s: a change of presence before its state", r.name)
		return
	}
	for _, m := range n.Joins {
		if _, here := r.view[m.Ref]; here {
			w.Errorf("%s: %s joins twice", r.name, m.Ref)
		}
		r.view[m.Ref] = string(m.Meta)
	}
	for _, m := range n.Updates {
		if before, here := r.view[m.Ref]; !here || before == string(m.Meta) {
			w.Errorf("%s: %s is said to have changed", r.name, m.Ref)
		}
		r.view[m.Ref] = string(m.Meta)
	}
	for _, m := range n.Leaves {
		if _, here := r.view[m.Ref]; !here {
			w.Errorf("%s: %s leaves twice", r.name, m.Ref)
		}
		delete(r.view, m.Ref)
	}
	if n.Count != len(r.view) {
		w.Errorf("%s: %d are said to be there, %d were told", r.name, n.Count, len(r.view))
	}
}

// echoes says whether an event is from the session that is left out.
func (r *reader) echoes(e wire.Event) bool { return r.except != "" && e.Session == r.except }

// mooted says that a newer event that the reader was told, or was to be told, makes
// one moot for who is late.
func (r *reader) mooted(e wire.Event, at uint64, sequence uint64) bool {
	if !r.late || !slices.Contains(r.w.ch.kind.Conflate, e.Event) {
		return false
	}
	if r.said[e.Event+e.From] > at {
		return true
	}
	for _, f := range r.w.facts {
		if sequence > 0 && f.Sequence > sequence && r.told[f.Sequence] && f.Event.Event == e.Event && f.From == e.From {
			return true
		}
	}
	return false
}

// complete judges whether the reader has been told all that it must be.
func (r *reader) complete() {
	w := r.w
	stop := r.stop()
	if r.owed && stop == 0 {
		w.Errorf("%s: was not told that it begins anew", r.name)
	}
	for _, f := range w.facts {
		s := f.Sequence
		gone := f.removed && slices.ContainsFunc(r.gaps, func(gap [2]uint64) bool { return gap[0] <= s && s <= gap[1] })
		if s > r.origin && (stop == 0 || s <= stop) && !r.told[s] && !gone && (f.unreadable || !r.echoes(f.Event) && !r.mooted(f.Event, w.places[s], s)) {
			w.Errorf("%s: was not told fact %d of %s by %s (removed %v), at %d", r.name, s, f.Event.Event, f.From, f.removed, w.places[s])
		}
	}
	if stop > 0 {
		return
	}
	for key, event := range w.live {
		if event.position >= r.from && !r.heard[key] && !r.missed[key] && !r.echoes(event.Event) && !r.mooted(event.Event, event.position, 0) {
			w.Errorf("%s: was not told %s of %s by %s", r.name, key, event.Event.Event, event.From)
		}
	}
	if !r.cursor.done() {
		w.Errorf("%s: has something before it", r.name)
	}
	if !r.cursor.presence {
		return
	}
	if !r.late && r.states > r.placed && w.ch.life == 0 && !w.ch.Durable() {
		w.Errorf("%s: was told %d times who is there", r.name, r.states)
	}
	here := map[string]string{}
	for _, m := range w.ch.presence.list(nil) {
		here[m.Ref] = string(m.Meta)
	}
	if r.view == nil || fmt.Sprint(here) != fmt.Sprint(r.view) {
		w.Errorf("%s: sees %v, there are %v", r.name, r.view, here)
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
