package simulation

import (
	"context"
	"time"

	"github.com/latido/latido/subjects/history"
)

// checkNowAndThen is the check of all channels that needs no reason.
func (b *bridge) checkNowAndThen(life int) {
	b.after(30*time.Second, func() {
		if b.life == life {
			b.check(false, func() {})
			b.checkNowAndThen(life)
		}
	})
}

// checkSoon is the thorough one after what may have lost messages, and another one
// behind it.
func (b *bridge) checkSoon() {
	life := b.life
	b.check(true, func() {
		b.after(600*time.Millisecond, func() {
			if b.life == life {
				b.check(false, func() {})
			}
		})
	})
}

// check compares the channels with the stream, as hub's checker does: one check at a
// time.
func (b *bridge) check(thorough bool, then func()) {
	if b.checking {
		b.again = b.again || thorough
		then()
		return
	}
	b.checking = true
	b.settle(thorough, func() {
		b.checking = false
		then()
		if b.again {
			b.again = false
			b.checkSoon()
		}
	})
}

// settle makes every channel whole.
func (b *bridge) settle(thorough bool, then func()) {
	var place history.Position
	var look *watched
	for _, name := range channels {
		if ch := b.watched[name]; ch.open && (look == nil || ch.Head().Sequence > place.Sequence) {
			place, look = ch.Head(), ch
		}
	}
	if look == nil {
		then()
		return
	}
	b.ask(func() func() {
		described, _ := b.bus.Describe(context.Background())
		return func() {
			b.ask(func() func() {
				message, there, _ := b.bus.Message(context.Background(), place.Sequence)
				return func() {
					doubtful := look.Doubts(described, place, message, there, thorough)
					b.each(0, func(ch *watched, then func()) { ch.adopt(described, doubtful, then) }, func() {
						b.erase(described, func() {
							b.each(0, func(ch *watched, then func()) { ch.compare(described, thorough, then) }, then)
						})
					})
				}
			})
		}
	})
}

// each does something for one channel after the other.
func (b *bridge) each(from int, do func(ch *watched, then func()), then func()) {
	if from == len(channels) {
		then()
		return
	}
	next := func() { b.each(from+1, do, then) }
	if ch := b.watched[channels[from]]; ch.open {
		do(ch, next)
	} else {
		next()
	}
}

// doubt looks whether the channel's past is that of the stream.
func (ch *watched) doubt(doubtful bool, then func()) {
	if !doubtful {
		then()
		return
	}
	ch.marks().at("a past is doubted")
	ch.carryThrough(ch.Look(), then)
}

// adopt takes the stream's epoch.
func (ch *watched) adopt(described history.Stream, doubtful bool, then func()) {
	ch.doubt(doubtful, func() {
		old, life := ch.Head(), ch.Life()
		if old.Epoch == described.Epoch {
			then()
			return
		}
		ch.bridge.ask(func() func() {
			standing, _ := history.Resume(context.Background(), ch.bridge.bus, ch.name.Event(), described.Epoch, old)
			return func() {
				ch.Rename(described.Epoch, life, standing)
				ch.work()
				ch.marks().at("an epoch is taken")
				then()
			}
		})
	})
}

// erase has the channels forget what was removed since the last look.
func (b *bridge) erase(now history.Stream, then func()) {
	was := b.extents
	b.extents = now
	if was.Epoch == now.Epoch && was.First == now.First && was.Deleted == now.Deleted {
		then()
		return
	}
	b.each(0, func(ch *watched, then func()) {
		b.ask(func() func() {
			gone := now.Last
			if oldest, found, _ := b.bus.Next(context.Background(), ch.name.Event(), 0); found {
				gone = oldest.Sequence - 1
			}
			return func() {
				ch.Erase(gone)
				ch.work()
				then()
			}
		})
	}, then)
}

// compare looks at the newest fact that the leader knows.
func (ch *watched) compare(described history.Stream, thorough bool, then func()) {
	ch.bridge.ask(func() func() {
		newest, _ := ch.bridge.bus.Newest(context.Background(), ch.name.Event())
		return func() {
			doubtful := ch.Measure(newest, described, thorough)
			ch.work()
			ch.doubt(doubtful, then)
		}
	})
}
