package count

import (
	"math"
	"testing"
	"time"
)

func TestQuantilesOfKnownDurations(t *testing.T) {
	t.Parallel()
	var h Histogram
	for i := 1; i <= 100_000; i++ {
		h.Record(int64(i) * int64(time.Microsecond))
	}
	for q, want := range map[float64]time.Duration{0: time.Microsecond, 0.5: 50 * time.Millisecond, 0.99: 99 * time.Millisecond, 0.999: 99900 * time.Microsecond, 1: 100 * time.Millisecond} {
		if got := h.Quantile(q); math.Abs(float64(got-want)) > 0.017*float64(want) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

func TestSmallDurationsAreExact(t *testing.T) {
	t.Parallel()
	for v := range int64(2 * fine) {
		var h Histogram
		h.Record(v)
		if got := h.Quantile(1); int64(got) != v {
			t.Errorf("%d is told as %d", v, got)
		}
	}
}

func TestExtremesAreCounted(t *testing.T) {
	t.Parallel()
	var h Histogram
	for _, v := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
		h.Record(v)
	}
	if h.Total() != 4 || h.Quantile(0.5) != 0 || h.Quantile(1) < math.MaxInt64/100*98 {
		t.Errorf("got %d, median %v, most %v", h.Total(), h.Quantile(0.5), h.Quantile(1))
	}
	h.Reset()
	if h.Total() != 0 || h.Quantile(0.5) != 0 {
		t.Error("not empty after Reset")
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for b.Loop() {
		h.Record(1_234_567)
	}
}
