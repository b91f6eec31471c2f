package admission

import (
	"sync/atomic"
	"time"
)

// Allowance is what may be taken: one unit each so often, and a burst at once.
type Allowance struct{ each, burst int64 } // nanoseconds

// Per allows so many units per second, and those of a while at once.
func Per(second int, burst time.Duration) Allowance {
	return Allowance{each: int64(time.Second) / int64(max(second, 1)), burst: int64(burst)}
}

// Meter measures what is taken of an allowance, by the generic cell rate
// algorithm: all it knows is when the allowance will be whole again, in Unix
// nanoseconds. It needs no lock and no clock of its own.
type Meter struct{ whole atomic.Int64 }

// Take takes units while any of the burst is left, so that what costs more than
// the whole burst is possible, too. Otherwise it takes nothing and returns how
// long to wait.
func (m *Meter) Take(now int64, a Allowance, units int) (wait time.Duration) {
	for {
		whole := m.whole.Load()
		from := max(whole, now)
		if over := from + a.each - now - a.burst; over > 0 {
			return time.Duration(over)
		}
		if m.whole.CompareAndSwap(whole, from+int64(units)*a.each) {
			return 0
		}
	}
}

// Charge takes units that were used already: a debt, if nothing is left.
func (m *Meter) Charge(now int64, a Allowance, units int) {
	for {
		whole := m.whole.Load()
		if m.whole.CompareAndSwap(whole, max(whole, now)+int64(units)*a.each) {
			return
		}
	}
}

// giveBack undoes a Take.
func (m *Meter) giveBack(a Allowance, units int) { m.whole.Add(-int64(units) * a.each) }
