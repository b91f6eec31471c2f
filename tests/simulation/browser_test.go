package simulation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/latido/latido/bridge/hub"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// browser follows one channel, through one bridge after the other, and keeps a ledger
// of what it was told.
type browser struct {
	*world
	ledger
	index   int
	channel subjects.Channel

	bridge   *bridge
	watched  *watched
	place    *hub.Place
	visit    int // grows when it comes or goes
	flushing bool
	slow     time.Duration // until when it takes nothing
}

// plain is what browsers are told, as they read it.
var plain = hub.NewView(plainly{}, hub.Bare)

type plainly struct{}

func (plainly) Encode(scratch []byte, notice wire.Notice, emit func([]byte, bool)) {
	switch n := notice.(type) {
	case wire.Event:
		scratch = fmt.Appendf(scratch, "fact %d %s\n", n.Sequence, n.Data)
	case wire.Gap:
		scratch = fmt.Appendf(scratch, "gap %d %d %s %d %d\n", n.From, n.To, n.Position.Epoch, n.Position.Sequence, n.Position.At.UnixNano())
	}
	emit(scratch, false)
}

// join has the browser come to a bridge, with what it knows.
func (r *browser) join(to int) {
	r.leave()
	r.visit++
	r.bridge = r.bridges[to]
	r.watched = r.bridge.watched[r.channel]
	r.seek(r.visit)
}

// leave ends its connection.
func (r *browser) leave() {
	if r.place != nil {
		r.watched.Drop(r.place)
	}
	r.lose()
}

// lose is what a bridge's end is for a browser.
func (r *browser) lose() {
	r.visit++
	r.bridge, r.watched, r.place = nil, nil, nil
}

// seek finds where the browser goes on, as hub's Seek does.
func (r *browser) seek(visit int) {
	ch := r.watched
	again := func(after time.Duration) {
		r.after(after, func() {
			if r.visit == visit {
				r.seek(visit)
			}
		})
	}
	switch {
	case !ch.open || ch.Starting():
		again(20 * time.Millisecond)
	case !r.knows:
		r.begin(visit, nil, ch.Life())
	case ch.Proves(r.at):
		r.marks.at("a ring proves a position")
		r.begin(visit, &history.Standing{After: r.at.Sequence, At: r.at.At}, ch.Life())
	default:
		life, epoch := ch.Life(), ch.Head().Epoch
		r.bridge.ask(func() func() {
			standing, _ := history.Resume(context.Background(), r.bus, r.channel.Event(), epoch, r.at)
			newest, _ := r.bus.Newest(context.Background(), r.channel.Event())
			ahead := r.at.Sequence > ch.Head().Sequence
			return func() {
				if r.visit != visit {
					return
				}
				if ahead && !standing.Anew {
					r.marks.at("a browser has seen more than its bridge")
					ch.Measure(newest, history.Stream{}, false)
					ch.work()
				}
				r.begin(visit, &standing, life)
			}
		})
	}
}

// begin places the browser, once what follows is at hand.
func (r *browser) begin(visit int, standing *history.Standing, life int) {
	ch := r.watched
	if r.visit != visit {
		return
	}
	if ch.Life() != life || ch.Starting() {
		r.seek(visit) // whatever was found is moot
		return
	}
	place, ok, atHand := ch.Begin(plain, standing)
	if !atHand {
		r.marks.at("a browser waits for a page")
		ch.load(standing.After, func() { r.begin(visit, standing, life) })
		return
	}
	r.place = place
	r.note("  browser %d joins %s at %d", r.index, r.channel, ok.Position.Sequence)
	if standing == nil {
		r.placed(history.Position(*ok.Position))
	}
	ch.work()
	r.flushSoon()
}

// flushSoon has the browser told what is before it.
func (r *browser) flushSoon() {
	if r.place == nil || r.flushing {
		return
	}
	r.flushing = true
	r.after(max(r.slow-r.now, 0)+r.between(10*time.Microsecond, 2*time.Millisecond), func() {
		r.flushing = false
		if r.place == nil {
			return
		}
		if r.slow > r.now {
			r.flushSoon()
			return
		}
		ch := r.watched
		told := r.place.Gather()
		for line := range strings.Lines(string(told)) {
			r.hear(strings.TrimSpace(line))
		}
		ch.work()
		if len(told) > 0 && !r.place.Done() {
			r.flushSoon()
		}
	})
}

// hear takes what the browser is told.
func (r *browser) hear(line string) {
	r.note("  browser %d: %s", r.index, line)
	var sequence, from, to uint64
	var number int
	var at int64
	var epoch string
	if n, _ := fmt.Sscanf(line, "fact %d %d", &sequence, &number); n == 2 {
		r.fact(r.world, r.index, sequence, number)
		return
	}
	if n, _ := fmt.Sscanf(line, "gap %d %d %s %d %d", &from, &to, &epoch, &sequence, &at); n == 5 {
		place := history.Position{Epoch: epoch, Sequence: sequence}
		if at != (time.Time{}).UnixNano() {
			place.At = time.Unix(0, at).UTC()
		}
		r.gap(r.world, r.index, history.Range{From: from, To: to}, place)
		return
	}
	panic("a browser was told: " + line)
}

// settle looks at the end whether the browser was told all.
func (r *browser) settle() {
	if r.broken == nil && r.place == nil {
		r.fail("whole in the end", "browser %d has no place", r.index)
	}
	if r.broken == nil {
		r.end(r.world, r.index, r.bus.newest(r.channel.Event()))
	}
}
