// Package report says what runs found: one line of JSON each, ratios to the floor
// of the same run, a table, and what has become worse since the last time.
//
// Imports: the standard library.
package report

import (
	"cmp"
	"math"
	"slices"
)

// Result is what one scenario found on one server. What was not measured is zero.
type Result struct {
	Scenario    string  `json:"scenario"`
	Server      string  `json:"server"`
	Headline    string  `json:"headline"` // the figure that says most
	Connections int     `json:"connections"`
	Seconds     float64 `json:"seconds,omitempty"` // measured; in a storm until all were whole

	Publishes  uint64  `json:"publishes,omitempty"`
	Deliveries uint64  `json:"deliveries,omitempty"`
	PerSecond  float64 `json:"per_second,omitempty"` // deliveries, or publishes where nobody listens

	CPUPerDelivery float64 `json:"cpu_us_per_delivery,omitempty"` // of the server and its NATS
	CPUPerPublish  float64 `json:"cpu_us_per_publish,omitempty"`
	NATSPerPublish float64 `json:"nats_cpu_us_per_publish,omitempty"` // the part of a NATS of its own
	CPUPerConnect  float64 `json:"cpu_us_per_connect,omitempty"`      // handshake, token, subscribes
	CPUPercent     float64 `json:"cpu_percent,omitempty"`             // of a core

	KBPerConnection float64 `json:"rss_kb_per_connection,omitempty"`

	P50  float64 `json:"p50_ms,omitempty"`
	P99  float64 `json:"p99_ms,omitempty"`
	P999 float64 `json:"p999_ms,omitempty"`

	P99Before float64 `json:"p99_ms_without_slow,omitempty"`
	Closed    int     `json:"slow_closed,omitempty"` // slow readers that the server gave up

	Lost  uint64 `json:"lost"`
	Twice uint64 `json:"twice"`
	Late  uint64 `json:"late,omitempty"` // behind one published after it

	OthersPercent float64            `json:"others_cpu_percent"` // of all cores: what disturbed the run
	Note          string             `json:"note,omitempty"`
	Error         string             `json:"error,omitempty"` // why there are no figures
	Ratios        map[string]float64 `json:"ratio_to_floor,omitempty"`
}

// round leaves four digits of each figure: the others are noise.
func (r *Result) round() {
	for _, f := range []*float64{
		&r.Seconds, &r.PerSecond, &r.CPUPerDelivery, &r.CPUPerPublish, &r.NATSPerPublish, &r.CPUPerConnect, &r.CPUPercent,
		&r.KBPerConnection, &r.P50, &r.P99, &r.P999, &r.P99Before, &r.OthersPercent,
	} {
		*f = significant(*f)
	}
}

func significant(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

// figure is one measure of a result; of all, less is better.
type figure struct {
	name   string
	of     func(*Result) float64
	judged bool // steady enough to say that it became worse
}

// figures are named as in a result's JSON.
var figures = []figure{
	{"cpu_us_per_delivery", func(r *Result) float64 { return r.CPUPerDelivery }, true},
	{"cpu_us_per_publish", func(r *Result) float64 { return r.CPUPerPublish }, true},
	{"cpu_us_per_connect", func(r *Result) float64 { return r.CPUPerConnect }, true},
	{"cpu_percent", func(r *Result) float64 { return r.CPUPercent }, false},
	{"rss_kb_per_connection", func(r *Result) float64 { return r.KBPerConnection }, true},
	{"us_per_event", func(r *Result) float64 { return inverse(r.PerSecond) }, true},
	{"p50_ms", func(r *Result) float64 { return r.P50 }, false},
	{"p99_ms", func(r *Result) float64 { return r.P99 }, false},
}

func inverse(perSecond float64) float64 {
	if perSecond == 0 {
		return 0
	}
	return 1e6 / perSecond
}

// Relate rounds the results and gives each its ratios to the floor's result of the same scenario.
func Relate(results []Result) {
	for i := range results {
		results[i].round()
	}
	for i := range results {
		r := &results[i]
		base := find(results, r.Scenario, Floor)
		if base == nil || r.Server == Floor || r.Error != "" {
			continue
		}
		r.Ratios = ratios(r, base)
	}
}

// Floor is the server that others are compared with.
const Floor = "floor"

// ratios of all figures that both results have.
func ratios(r, base *Result) map[string]float64 {
	all := make(map[string]float64)
	for _, f := range figures {
		if own, other := f.of(r), f.of(base); own > 0 && other > 0 {
			all[f.name] = significant(own / other)
		}
	}
	return all
}

func find(results []Result, scenario, server string) *Result {
	for i := range results {
		if results[i].Scenario == scenario && results[i].Server == server && results[i].Error == "" {
			return &results[i]
		}
	}
	return nil
}

// Disturbing is the percentage of the machine that others may use at most, for
// figures to mean what they say.
const Disturbing = 8

// Medians keeps one of the results of each server in a scenario: of those that
// nobody disturbed, or of all, the one whose headline is in the middle. Servers stay in the order in which they came; one
// that never came to an end is kept as it is.
func Medians(results []Result) []Result {
	var order []string
	runs := make(map[string][]Result)
	for _, r := range results {
		if _, known := runs[r.Server]; !known {
			order = append(order, r.Server)
		}
		runs[r.Server] = append(runs[r.Server], r)
	}
	kept := make([]Result, 0, len(order))
	for _, name := range order {
		kept = append(kept, median(runs[name]))
	}
	return kept
}

func median(runs []Result) Result {
	good := slices.DeleteFunc(slices.Clone(runs), func(r Result) bool { return r.Error != "" })
	if len(good) == 0 {
		return runs[0]
	}
	lost, twice := uint64(0), uint64(0)
	for _, r := range good { // a loss in any run is a loss
		lost, twice = max(lost, r.Lost), max(twice, r.Twice)
	}
	if calm := slices.DeleteFunc(slices.Clone(good), func(r Result) bool { return r.OthersPercent >= Disturbing }); len(calm) > 0 {
		good = calm
	}
	slices.SortStableFunc(good, func(a, b Result) int { return cmp.Compare(a.headline(), b.headline()) })
	middle := good[len(good)/2]
	middle.Lost, middle.Twice = lost, twice
	return middle
}

func (r *Result) headline() float64 {
	for _, f := range figures {
		if f.name == r.Headline {
			return f.of(r)
		}
	}
	return 0
}
