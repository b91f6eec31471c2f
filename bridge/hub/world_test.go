package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// leaving is the fact that ends a membership.
var leaving = map[string]subjects.Ending{"left": {Users: "user"}}

// deflated is the view of who takes frames compressed.
var deflated = NewView(native.Dialect{}, Deflated)

// kinds are one of each that a cursor treats in its own way.
var kinds = map[string]subjects.Kind{
	"log":    {Name: "log", Durability: subjects.Durable, Stream: "LOG", Ends: leaving},
	"track":  {Name: "track", Durability: subjects.Durable, Stream: "TRACK", Conflate: []string{"moved"}, Ends: leaving},
	"chat":   {Name: "chat", Durability: subjects.Live},
	"cursor": {Name: "cursor", Durability: subjects.Live, Conflate: []string{"moved"}},
}

// nowhere is the closed end of a connection that never was.
var nowhere = sync.OnceValue(func() *nats.Conn {
	nc, err := nats.Connect("nats://nowhere", nats.RetryOnFailedConnect(true), nats.SetCustomDialer(noDialer{}))
	if err != nil {
		panic(err)
	}
	nc.Close()
	return nc
})

type noDialer struct{}

func (noDialer) Dial(string, string) (net.Conn, error) { return nil, errors.ErrUnsupported }

// alone is a hub without a bus, whose tasks end at once: what they would do is done
// by the test.
func alone(flushers int) *Hub {
	bus := Bus{Live: nowhere(), Publish: nowhere(), Replay: nowhere()}
	h := New(Config{Bus: bus, Kinds: kinds, Flushers: flushers, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.Bind(ctx)
	return h
}

// fact is a fact of the stream.
type fact struct {
	wire.Event
	unreadable bool
	ends       subjects.Ended
	removed    bool
}

// bulk is what an entry is said to hold, so that few of them fill a ring.
const bulk = ringBytes / 20

func (f *fact) entry(label string) *entry {
	if f.unreadable {
		return &entry{sequence: f.Sequence, stored: f.At, size: bulk, notice: wire.Gap{
			Channel: label, From: f.Sequence, To: f.Sequence, Position: wire.Position{Sequence: f.Sequence, At: f.At},
		}}
	}
	e := eventEntry(f.Event)
	e.size, e.ends = bulk, f.ends
	return e
}

// world is a channel, the stream behind it, and its readers.
type world struct {
	*testing.T
	random *rand.Rand
	hub    *Hub
	ch     *Channel

	facts   []*fact // of the channel, in the stream of now
	bySeq   map[uint64]*fact
	sent    int                   // so many of facts have come, or were lost on the way
	end     uint64                // the stream's last sequence, of whatever channel
	live    map[string]*liveEvent // by key
	entries map[uint64]*liveEvent // by position in the ring
	places  map[uint64]uint64     // positions in the ring of facts, by sequence
	looked  uint64                // the ring's head when it was looked at
	swept   uint64                // and its base
	epochs  int
	seat    uint64 // sequence of the bucket of presence
	readers []*reader
}

type liveEvent struct {
	wire.Event
	position uint64
}

func newWorld(t *testing.T, random *rand.Rand, kind string) *world {
	w := &world{T: t, random: random, hub: alone(1), live: map[string]*liveEvent{}, entries: map[uint64]*liveEvent{}, bySeq: map[uint64]*fact{}, places: map[uint64]uint64{}}
	name := subjects.Channel{Kind: kind, ID: "1"}
	w.ch = w.hub.newChannel(name)
	w.hub.channels[tail(name)] = w.ch
	w.ch.presence = newPresenceSet(&nodes{})
	w.ch.presence.finish(0, nil)
	if w.ch.Durable() {
		for range random.IntN(30) {
			w.publish()
		}
		w.ch.epoch = "epoch 1"
		w.begun()
		w.epochs = 2
	}
	return w
}

func (w *world) epoch() string {
	w.epochs++
	return fmt.Sprintf("epoch %d", w.epochs)
}

func (w *world) event() wire.Event {
	text := `"short"`
	if chance(w.random, 10) {
		text = `"` + strings.Repeat("long ", 6000) + `"`
	}
	return wire.Event{
		Channel: w.ch.label, Event: oneOf(w.random, "moved", "spoke"), From: oneOf(w.random, "ana", "luis"),
		Session: oneOf(w.random, "", "mine", "yours"), Data: json.RawMessage(text),
	}
}

// publish stores a fact of the channel, behind some of others.
func (w *world) publish() {
	w.end += 1 + uint64(w.random.IntN(3))
	f := &fact{Event: w.event(), unreadable: chance(w.random, 20)}
	f.Sequence, f.At = w.end, time.Unix(1e9+int64(w.epochs)<<20+int64(w.end), 0)
	if chance(w.random, 40) {
		f.ends = ends(w.ch.kind, wire.Event{Event: "left", Data: json.RawMessage(oneOf(w.random, `{"user":"ana"}`, `{"user":"luis"}`))})
		f.unreadable = false
	}
	w.facts = append(w.facts, f)
	w.bySeq[f.Sequence] = f
}

// deliver gives the channel the next facts from the feed, or loses one.
func (w *world) deliver() {
	if w.sent == len(w.facts) || w.ch.anew != nil {
		return
	}
	if chance(w.random, 12) {
		w.sent++ // the next one reveals it
		return
	}
	var previous uint64
	if w.sent > 0 {
		previous = w.facts[w.sent-1].Sequence
	}
	f := w.facts[w.sent]
	w.sent++
	w.ch.ingest(f.entry(w.ch.label), previous)
	if chance(w.random, 10) { // twice
		w.ch.ingest(f.entry(w.ch.label), previous)
	}
	w.settle()
}

// heal reads what is missing, as the hub would.
func (w *world) heal() {
	ch := w.ch
	ch.mu.Lock()
	defer ch.unlock()
	if !ch.healing || ch.anew != nil {
		return
	}
	target, lost := ch.target, false
	for _, f := range w.facts {
		switch {
		case f.Sequence <= ch.ring.last || f.Sequence > target:
		case f.removed:
			lost = true
		default:
			if lost {
				w.lack(f.Sequence - 1)
			}
			lost = false
			ch.append(f.entry(ch.label))
			w.sweep()
		}
	}
	if lost {
		w.lack(target)
	}
	ch.ring.reach(history.Position{Sequence: target})
	ch.release()
	w.sweep()
}

// lack puts a gap into the ring.
func (w *world) lack(to uint64) {
	ch := w.ch
	gap := gapEntry(ch.gap(history.Range{From: ch.ring.last + 1, To: to}, history.Position{Sequence: to}))
	gap.size = bulk
	ch.append(gap)
	w.sweep()
}

// say tells a live event.
func (w *world) say() {
	event := &liveEvent{w.event(), w.ch.ring.head()}
	event.Key = fmt.Sprint("live ", event.position)
	w.live[event.Key] = event
	w.entries[event.position] = event
	e := eventEntry(event.Event)
	e.size = bulk
	w.ch.broadcast(e)
	w.settle()
}

// seats has somebody come, go, or change.
func (w *world) seats() {
	w.seat++
	said := oneOf(w.random, "left", fmt.Sprint(w.random.IntN(3)))
	w.ch.mu.Lock()
	w.ch.presence.change(at(oneOf(w.random, "a", "b", "c", "d"), oneOf(w.random, "n", "m"), w.seat, said))
	w.ch.mu.Unlock()
}

// compare has the channel look at the stream's leader.
func (w *world) compare() {
	if !w.ch.Durable() || w.ch.anew != nil {
		return
	}
	w.end += uint64(w.random.IntN(2))
	var newest history.Position
	if last := len(w.facts) - 1; last >= 0 && !w.facts[last].removed {
		newest = history.Position{Sequence: w.facts[last].Sequence, At: w.facts[last].At}
	}
	w.ch.compare(newest, history.Stream{Last: w.end}, false)
	w.settle()
}

// remove has the oldest facts go, but for those that ended a membership: nobody
// would know.
func (w *world) remove() {
	for _, f := range w.facts[:w.random.IntN(len(w.facts)+1)] {
		if f.ends.Any() {
			return
		}
		f.removed = true
	}
}

// begin has the channel find a stream of another past.
func (w *world) begin() {
	if !w.ch.Durable() {
		return
	}
	w.ch.mu.Lock()
	w.ch.restart(oneOf(w.random, w.epoch(), w.ch.epoch))
	w.ch.unlock()
	w.settle()
	w.facts, w.bySeq, w.places = nil, map[uint64]*fact{}, map[uint64]uint64{}
	w.end, w.sent = uint64(w.random.IntN(10)), 0
	for range w.random.IntN(6) {
		w.publish()
	}
}

// begun ends a beginning: the channel knows where it begins.
func (w *world) begun() {
	ch := w.ch
	if ch.anew == nil && w.epochs > 1 {
		return
	}
	var oldest, watermark history.Position
	watermark = history.Position{Sequence: w.end}
	fact := len(w.facts) > 0
	if fact {
		newest := w.facts[len(w.facts)-1]
		oldest.Sequence = w.facts[0].Sequence - 1
		watermark = history.Position{Sequence: newest.Sequence, At: newest.At}
	} else {
		oldest = watermark
	}
	w.sent = len(w.facts)
	ch.mu.Lock()
	if ch.anew != nil {
		ch.started(oldest, watermark, fact)
	} else {
		ch.beginAt(watermark, fact)
	}
	ch.unlock()
	w.settle()
	for _, r := range w.readers {
		if r.life != ch.life {
			r.anew(ch.life, oldest.Sequence)
		}
	}
}

// settle waits for what the hub has begun, and sees what has left the ring.
func (w *world) settle() {
	w.hub.tasks.Wait()
	w.sweep()
}

// sweep notes who has not been told yet what has left the ring.
func (w *world) sweep() {
	for w.looked = max(w.looked, w.ch.ring.base); w.looked < w.ch.ring.head(); w.looked++ {
		if e := w.ch.ring.get(w.looked); e.sequence > 0 && !e.hole {
			w.places[e.sequence] = w.looked
		}
	}
	for ; w.swept < w.ch.ring.base; w.swept++ {
		for _, r := range w.readers {
			if r.cursor.position <= w.swept || r.cursor.behind {
				r.late = r.late || !r.cursor.behind
				if event := w.entries[w.swept]; event != nil {
					r.missed[event.Key] = true
				}
			}
		}
	}
}

// page reads what follows a sequence, as the hub would.
func (w *world) page(after uint64) {
	ch := w.ch
	ch.mu.Lock()
	defer ch.mu.Unlock()
	fresh := &page{after: after, upTo: ch.ring.floor, known: ch.ring.last}
	most, lost := 1+w.random.IntN(10), false
	for _, f := range w.facts {
		switch {
		case f.Sequence <= after:
		case f.removed:
			lost = lost || f.Sequence <= fresh.oldest() && f.Sequence <= ch.ring.floor
		case f.Sequence > ch.ring.last:
		case f.Sequence > ch.ring.floor || len(fresh.entries) == most:
			fresh.pending++
		default:
			e := f.entry(ch.label)
			ch.setEpoch(e)
			fresh.entries = append(fresh.entries, e)
		}
	}
	if n := len(fresh.entries); n > 0 && fresh.pending > 0 {
		fresh.upTo = fresh.entries[n-1].sequence
	}
	fresh.lost = lost
	ch.pages.add(fresh)
}
