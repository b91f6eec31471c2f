package simulation

import (
	"container/heap"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

// world is one history: all there is, and what is to happen.
type world struct {
	random   *rand.Rand // of how long things take
	script   script
	bus      *bus
	bridges  []*bridge
	browsers []*browser
	trace    io.Writer
	marks    marks

	now     time.Duration // since it began
	order   int
	queue   queue
	calm    bool          // nothing happens any more but what follows
	rolled  time.Duration // when the stream was last rolled back
	breaks  int           // so far: rollbacks, renewals and streams made anew
	removes int           // so far
	broken  error         // the first promise that did not hold
}

// due is something that is to happen.
type due struct {
	at    time.Duration
	order int // of those of one moment
	do    func()
}

type queue []due

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].order < q[j].order
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(due)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = due{}
	*q = (*q)[:len(*q)-1]
	return last
}

// began is when every history begins.
var began = time.Date(2030, time.January, 1, 0, 0, 0, 0, time.UTC)

func newWorld(s script, trace io.Writer, m marks) *world {
	w := &world{random: rand.New(rand.NewPCG(s.seed, 1)), script: s, trace: trace, marks: m}
	w.bus = newBus(func() time.Time { w.order++; return began.Add(w.now + time.Duration(w.order)) })
	for i := range bridgeCount {
		w.bridges = append(w.bridges, newBridge(w, i))
	}
	for i := range browserCount {
		w.browsers = append(w.browsers, &browser{world: w, index: i, channel: channels[i%len(channels)]})
	}
	return w
}

// Of every history.
const (
	bridgeCount  = 3
	browserCount = 6
)

// after has something happen later.
func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.queue, due{w.now + d, w.order, do})
}

// between is some time of at least one and less than the other.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)))
}

func (w *world) note(format string, of ...any) {
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%12.6f ", w.now.Seconds())
		fmt.Fprintf(w.trace, format+"\n", of...)
	}
}

// fail notes that a promise does not hold.
func (w *world) fail(promise, format string, of ...any) {
	if w.broken == nil {
		w.broken = &breach{promise, fmt.Sprintf("%.3f: ", w.now.Seconds()) + fmt.Sprintf(format, of...)}
		w.note("BROKEN %v", w.broken)
	}
}

// breach is a promise that did not hold.
type breach struct{ promise, how string }

func (b *breach) Error() string { return b.promise + ": " + b.how }

// until lets happen what is due until a moment.
func (w *world) until(end time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= end && w.broken == nil {
		next := heap.Pop(&w.queue).(due)
		w.now = next.at
		next.do()
	}
	w.now = max(w.now, end)
}

// calmFor is how long after the last event of a script everybody has to be whole: a
// check of all channels, each of which is repeated, twice.
const calmFor = 2 * time.Minute

// run lets a whole history happen, and says how long it was.
func (w *world) run() time.Duration {
	for _, b := range w.bridges {
		b.start()
	}
	for _, e := range w.script.events {
		w.until(e.at)
		if w.broken != nil {
			return w.now
		}
		w.note("%v", e)
		w.happen(e)
	}
	w.calm = true
	w.bus.lag = 0
	for _, b := range w.bridges {
		b.link.heal()
	}
	for _, r := range w.browsers {
		r.slow = 0
		r.flushSoon()
		if r.place == nil {
			r.join(r.index % bridgeCount)
		}
	}
	w.until(w.now + calmFor)
	for _, r := range w.browsers {
		r.settle()
	}
	return w.now
}
