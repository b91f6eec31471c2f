// Package count counts what a run delivered: how late, and whether each message
// came exactly once.
//
// Imports: the standard library.
package count

import (
	"math/bits"
	"time"
)

const (
	fineBits = 6 // each power of two is divided into 2⁶: an error of 1.6 % at most
	fine     = 1 << fineBits
)

// Histogram counts durations. The zero value is empty.
type Histogram struct {
	counts [(64 - fineBits) * fine]uint64
	total  uint64
}

// Record counts a duration in nanoseconds; one below zero counts as zero.
func (h *Histogram) Record(nanoseconds int64) {
	h.counts[bucket(uint64(max(nanoseconds, 0)))]++
	h.total++
}

// Total is how many durations were counted.
func (h *Histogram) Total() uint64 { return h.total }

// Quantile is the duration that the fraction q of all does not exceed, or 0 when
// nothing was counted.
func (h *Histogram) Quantile(q float64) time.Duration {
	if h.total == 0 {
		return 0
	}
	rank := max(uint64(q*float64(h.total)+0.5), 1)
	var below uint64
	for i, n := range h.counts {
		if below += n; below >= rank {
			return time.Duration(middle(i))
		}
	}
	return 0
}

// Reset empties the histogram.
func (h *Histogram) Reset() { *h = Histogram{} }

// bucket of v: values below 2·fine have one each, then each power of two has fine.
func bucket(v uint64) int {
	shift := max(bits.Len64(v)-fineBits-1, 0)
	return min(shift*fine+int(v>>shift), (64-fineBits)*fine-1)
}

func middle(bucket int) uint64 {
	if bucket < 2*fine {
		return uint64(bucket)
	}
	shift := bucket/fine - 1
	low := uint64(bucket-shift*fine) << shift
	return low + 1<<shift/2
}
