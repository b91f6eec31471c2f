package simulation

import (
	"slices"
	"time"

	"github.com/latido/latido/subjects"
)

// channels are those that there are facts of.
var channels = []subjects.Channel{{Kind: "log", ID: "a"}, {Kind: "log", ID: "b"}}

// happen has an event of the script happen.
func (w *world) happen(e event) {
	switch e.verb {
	case "publish":
		w.publish(e.a, e.b > 0)
	case "burst":
		for range e.b {
			w.publish(e.a, true)
		}
	case "lose":
		w.bridges[e.a].link.lose += 1 + e.b
	case "double":
		w.bridges[e.a].link.double = true
	case "swap":
		w.bridges[e.a].link.swap = true
	case "cut":
		b := w.bridges[e.a]
		b.link.cutOff()
		w.after(time.Duration(e.b)*time.Second+time.Millisecond, b.link.heal)
	case "lag":
		w.bus.lag = e.a
	case "lead":
		for _, b := range w.bridges {
			b.link.lose += e.a
			w.after(w.between(time.Millisecond, 50*time.Millisecond), b.checkSoon)
		}
		w.marks.at("another leader")
	case "purge":
		upTo := uint64(len(w.bus.stored) * e.a / 100)
		w.remove(func(m *message) bool { return m.seq <= upTo })
	case "clear":
		w.clear(channels[e.a].Event(), e.b)
	case "save":
		w.bus.save()
	case "rollback":
		w.rollBack(e.a > 0, e.b)
	case "recreate":
		w.breaks++
		w.bus.create()
		for i := range e.b {
			w.publish(i%len(channels), false)
		}
		w.interrupt()
	case "join":
		w.browsers[e.a].join(e.b)
	case "leave":
		w.browsers[e.a].leave()
	case "slow":
		w.browsers[e.a].slow = w.now + time.Duration(e.b)*time.Millisecond
		w.browsers[e.a].flushSoon()
	case "die":
		w.bridges[e.a].die()
	default:
		panic("no such verb: " + e.verb)
	}
}

// publish stores a fact, and hands it to the links.
func (w *world) publish(channel int, checked bool) {
	m, previous := w.bus.store(channels[channel].Event(), checked)
	w.note("  stored %d as %d of %s behind %d", m.number, m.seq, m.subject, previous)
	for _, b := range w.bridges {
		b.link.send(m, previous)
	}
}

// remove has messages go. For a while after a rollback nothing does: a lost tail whose
// readers' own messages were removed since is not noticed, and not promised to be.
func (w *world) remove(gone func(*message) bool) {
	if w.now < w.rolled+time.Minute && w.breaks > 0 {
		return
	}
	w.removes++
	w.bus.remove(gone)
}

// clear has all facts of a subject go but for the newest of them.
func (w *world) clear(subject string, keep int) {
	var kept []*message
	for m := w.bus.newest(subject); m != nil && len(kept) < keep; m = m.before {
		if !w.bus.removed[m] {
			kept = append(kept, m)
		}
	}
	w.remove(func(m *message) bool { return m.subject == subject && !slices.Contains(kept, m) })
}

// rollBack gives the stream an older past, which grows again before anybody knows.
func (w *world) rollBack(renewed bool, facts int) {
	if w.bus.saved == nil {
		return
	}
	w.breaks++
	w.rolled = w.now
	w.bus.rollBack()
	for _, b := range w.bridges {
		b.link.cutOff()
	}
	if renewed {
		w.bus.renewals++
	}
	for i := range facts {
		w.publish(i%len(channels), i%3 > 0)
	}
	w.interrupt()
}

// interrupt has every link cut for a moment.
func (w *world) interrupt() {
	for _, b := range w.bridges {
		b.link.cutOff()
		w.after(w.between(10*time.Millisecond, time.Second), b.link.heal)
	}
}
