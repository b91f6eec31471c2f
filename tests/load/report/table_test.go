package report

import (
	"strings"
	"testing"
)

// measured are two scenarios on three servers.
func measured() []Result {
	all := []Result{
		{Scenario: "fanout", Server: "floor", Headline: "cpu_us_per_delivery", Connections: 1000, Seconds: 5, PerSecond: 4_900_000, CPUPerDelivery: 0.2, P50: 1.5, P99: 3},
		{Scenario: "fanout", Server: "latido", Headline: "cpu_us_per_delivery", Connections: 1000, Seconds: 5, PerSecond: 3_000_000, CPUPercent: 98.76, CPUPerDelivery: 0.3, P50: 2, P99: 12.34, Lost: 3, OthersPercent: 12},
		{Scenario: "fanout", Server: "nats", Headline: "cpu_us_per_delivery", Connections: 1000, Seconds: 5, PerSecond: 12_345, CPUPerDelivery: 0.65, Note: "a note"},
		{Scenario: "idle", Server: "floor", Headline: "rss_kb_per_connection", Connections: 20, KBPerConnection: 1.1},
		{Scenario: "idle", Server: "latido", Headline: "rss_kb_per_connection", Connections: 20, Error: "it broke\nhere"},
	}
	Relate(all)
	return all
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := Table(&b, measured()); err != nil {
		t.Fatal(err)
	}
	want := strings.TrimPrefix(`
scenario  server  conns  events/s  core %  µs/delivery  µs/publish  µs/connect  KB/conn  s     p50 ms  p99   p99.9  lost  twice  × floor  × nats  others
fanout    floor   1000   4.90 M            0.20                                          5.00  1.50    3.00         0     0               0.31
          latido  1000   3.00 M    98.8    0.30                                          5.00  2.00    12.3         3     0      1.50     0.46    12 %
          nats    1000   12 k              0.65                                          5.00                       0     0      3.25                     a note
idle      floor   20                                                            1.10                                0     0
          latido                                                                                                                                          it broke
`, "\n")
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	all := measured()
	if got := all[1].Ratios; got["cpu_us_per_delivery"] != 1.5 || got["us_per_event"] != 1.633 || got["p50_ms"] != 1.333 || len(got) != 4 {
		t.Errorf("got %v", got)
	}
	if all[0].Ratios != nil || all[4].Ratios != nil {
		t.Error("the floor, or a run without figures, has ratios")
	}
}

func TestSignificant(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]float64{0: 0, 0.0123456: 0.01235, 5: 5, 1234.5678: 1235, 987654: 987700} {
		if got := significant(v); got != want {
			t.Errorf("%v becomes %v, want %v", v, got, want)
		}
	}
}
