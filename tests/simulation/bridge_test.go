package simulation

import (
	"context"
	"time"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// kind is that of all channels.
var kind = subjects.Kind{Name: "log", Durability: subjects.Durable, Stream: "LOG"}

// bulk is how much of a ring a fact fills, so that few of them fill it.
const bulk = 1 << 20 / 12

// bridge does what a bridge does around the steps, and nothing else: it asks the bus,
// and gives the answers to them.
type bridge struct {
	*world
	index    int
	life     int // grows when it dies: what was begun before is moot
	link     *link
	watched  map[subjects.Channel]*watched
	extents  history.Stream
	checking bool
	again    bool // another check is wanted
}

// watched is a channel on a bridge.
type watched struct {
	*hub.Steps
	name    subjects.Channel
	bridge  *bridge
	life    int
	open    bool
	loading map[uint64]bool
}

func newBridge(w *world, index int) *bridge {
	b := &bridge{world: w, index: index}
	b.link = &link{bridge: b}
	return b
}

// start opens the channels, and begins to look after them.
func (b *bridge) start() {
	b.watched = map[subjects.Channel]*watched{}
	b.extents = history.Stream{}
	b.checking, b.again = false, false
	life := b.life
	for _, name := range channels {
		ch := &watched{Steps: hub.NewSteps(name, kind), name: name, bridge: b, life: life, loading: map[uint64]bool{}}
		b.watched[name] = ch
		b.ask(func() func() {
			described, _ := b.bus.Describe(context.Background())
			return func() {
				b.ask(func() func() {
					watermark, fact, _ := history.Watermark(context.Background(), b.bus, name.Event())
					return func() {
						ch.open = true
						ch.Open(described.Epoch, watermark, fact)
						ch.work()
						b.checkSoon()
					}
				})
			}
		})
	}
	b.checkNowAndThen(life)
}

// die ends all that the bridge held, and has it start again.
func (b *bridge) die() {
	b.life++
	b.link.clear()
	for _, r := range b.browsers {
		if r.bridge == b {
			r.lose()
			if b.calm {
				r.after(time.Second, func() { r.join(r.index % bridgeCount) })
			}
		}
	}
	b.marks.at("a bridge died")
	b.start()
}

// ask asks the leader, and does with the answer what it returns: both take time, and
// while the link is cut neither is done.
func (b *bridge) ask(question func() (taken func())) {
	life := b.life
	var again func()
	again = func() {
		switch {
		case b.life != life:
		case b.link.cut:
			b.after(100*time.Millisecond, again)
		default:
			taken := question()
			b.after(b.between(100*time.Microsecond, 5*time.Millisecond), func() {
				switch {
				case b.life != life:
				case b.link.cut: // the answer is lost
					b.marks.at("an answer is lost")
					b.after(100*time.Millisecond, again)
				default:
					taken()
				}
			})
		}
	}
	b.after(b.between(100*time.Microsecond, 5*time.Millisecond), again)
}

// work does what the steps of a channel have left to be done.
func (ch *watched) work() {
	w := ch.Work()
	if w.Begin {
		ch.marks().at("a channel begins anew")
		clear(ch.loading)
		ch.beginAgain(ch.Life())
	}
	if w.Heal {
		ch.mend(ch.Life())
	}
	for _, after := range w.Loads {
		ch.load(after, func() {})
	}
	for _, r := range ch.bridge.browsers {
		if w.Changed && r.watched == ch {
			r.flushSoon()
		}
	}
}

func (ch *watched) marks() marks { return ch.bridge.marks }

// mend reads what is missing until nothing is.
func (ch *watched) mend(life int) {
	if ch.Life() != life {
		return
	}
	m := ch.Mend()
	ch.carryThrough(m, func() {
		if !m.Ended() {
			ch.marks().at("a mending is repeated")
			ch.mend(life)
		}
	})
}

// load reads the page behind a sequence, unless it is being read.
func (ch *watched) load(after uint64, then func()) {
	if ch.loading[after] {
		ch.bridge.after(5*time.Millisecond, then)
		return
	}
	ch.loading[after] = true
	ch.marks().at("a page is read")
	ch.carryThrough(ch.Turn(after), func() {
		delete(ch.loading, after)
		then()
	})
}

// beginAgain finds where the channel begins now.
func (ch *watched) beginAgain(life int) {
	ch.bridge.ask(func() func() {
		oldest, _ := history.Oldest(context.Background(), ch.bridge.bus, ch.name.Event())
		return func() {
			ch.bridge.ask(func() func() {
				watermark, fact, _ := history.Watermark(context.Background(), ch.bridge.bus, ch.name.Event())
				return func() {
					if ch.Life() == life {
						ch.Started(oldest, watermark, fact)
						ch.work()
					}
				}
			})
		}
	})
}

// carryThrough answers what a reading has to know, until it has ended.
func (ch *watched) carryThrough(r *hub.StepReading, ended func()) {
	ch.work()
	q, asked := r.Question()
	if !asked {
		ended()
		return
	}
	answered := func(a hub.StepAnswer) func() {
		return func() {
			r.Answer(a)
			ch.carryThrough(r, ended)
		}
	}
	b := ch.bridge
	if q.Page {
		ch.read(q.At.Sequence, q.UpTo, b.now, func(a hub.StepAnswer) { answered(a)() })
		return
	}
	b.ask(func() func() {
		a := hub.StepAnswer{}
		switch {
		case q.Standing:
			a.Standing, _ = history.Judge(context.Background(), b.bus, ch.name.Event(), q.At)
		case q.Preceding:
			a.Place, _ = history.Preceding(context.Background(), b.bus, q.At.Sequence, q.At.At)
		case q.Epoch:
			a.Name = b.bus.epoch()
		}
		return answered(a)
	})
}

// read is history.Read: it asks replicas until one has something, and the leader now
// and then whether there still is something.
func (ch *watched) read(after, upTo uint64, checked time.Duration, done func(hub.StepAnswer)) {
	b := ch.bridge
	if after >= upTo {
		done(hub.StepAnswer{Reached: after})
		return
	}
	b.ask(func() func() {
		facts, pending := b.bus.page(ch.name.Event(), after)
		return func() {
			switch {
			case len(facts) > 0:
				a := hub.StepAnswer{Pending: pending}
				for _, m := range facts {
					a.Facts = append(a.Facts, stepFact(ch.name, m))
				}
				done(a)
			case b.now-checked < 250*time.Millisecond:
				b.after(2*time.Millisecond, func() { ch.read(after, upTo, checked, done) })
			default:
				b.marks.at("a read asks the leader")
				b.ask(func() func() {
					newest, _ := b.bus.Newest(context.Background(), ch.name.Event())
					return func() {
						if newest.Sequence <= after {
							done(hub.StepAnswer{Reached: upTo})
							return
						}
						ch.read(after, min(upTo, newest.Sequence), b.now, done)
					}
				})
			}
		}
	})
}

func stepFact(name subjects.Channel, m *message) hub.StepFact {
	return hub.StepFact{Event: wire.Event{
		Channel: name.String(), Event: "happened", Sequence: m.seq, At: m.at, Data: m.fact().Data,
	}, Size: bulk}
}

// link is how messages come to a bridge: in order, and each once, but for what happens.
type link struct {
	*bridge
	cut    bool
	epoch  int           // grows when it is cut: what was on its way is lost
	last   time.Duration // when the last message arrives
	lose   int           // so many more
	double bool          // the next one
	swap   bool          // the next one comes late
}

// send puts a message on its way.
func (l *link) send(m *message, previous uint64) {
	switch {
	case l.cut:
		return
	case l.lose > 0:
		l.lose--
		l.marks.at("a message is lost")
		return
	}
	at := max(l.last, l.now+l.between(100*time.Microsecond, 20*time.Millisecond))
	times := 1
	if l.double {
		times, l.double = 2, false
		l.marks.at("a message comes twice")
	}
	if l.swap {
		at, l.swap = at+l.between(time.Millisecond, 100*time.Millisecond), false
		l.marks.at("a message comes late")
	} else {
		l.last = at
	}
	epoch := l.epoch
	for range times {
		l.after(at-l.now, func() {
			if l.epoch == epoch {
				l.deliver(m, previous)
			}
		})
	}
}

func (l *link) deliver(m *message, previous uint64) {
	for _, name := range channels {
		if ch := l.watched[name]; name.Event() == m.subject {
			ch.Feed(hub.StepFeed{StepFact: stepFact(name, m), Previous: previous})
			ch.work()
		}
	}
}

func (l *link) cutOff() {
	l.cut = true
	l.clear()
	l.marks.at("a link is cut")
}

// clear loses what is on its way.
func (l *link) clear() { l.epoch++ }

// heal ends a cut, and has the bridge look at what it missed.
func (l *link) heal() {
	if l.cut {
		l.cut = false
		l.checkSoon()
	}
}
