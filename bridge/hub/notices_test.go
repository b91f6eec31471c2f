package hub

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/latido/latido/bridge/wire"
)

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
