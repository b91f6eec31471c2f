package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// column is one column of the table; its cell is "" where there is nothing to say.
type column struct {
	title string
	cell  func(results []Result, r *Result) string
}

var columns = []column{
	{"server", func(_ []Result, r *Result) string { return r.Server }},
	{"conns", func(_ []Result, r *Result) string { return fmt.Sprint(r.Connections) }},
	{"events/s", func(_ []Result, r *Result) string { return count(r.PerSecond) }},
	{"core %", func(_ []Result, r *Result) string { return number(r.CPUPercent) }},
	{"µs/delivery", func(_ []Result, r *Result) string { return number(r.CPUPerDelivery) }},
	{"µs/publish", func(_ []Result, r *Result) string { return number(r.CPUPerPublish) }},
	{"µs/connect", func(_ []Result, r *Result) string { return number(r.CPUPerConnect) }},
	{"KB/conn", func(_ []Result, r *Result) string { return number(r.KBPerConnection) }},
	{"s", func(_ []Result, r *Result) string { return number(r.Seconds) }},
	{"p50 ms", func(_ []Result, r *Result) string { return number(r.P50) }},
	{"p99", func(_ []Result, r *Result) string { return number(r.P99) }},
	{"p99.9", func(_ []Result, r *Result) string { return number(r.P999) }},
	{"lost", func(_ []Result, r *Result) string { return fmt.Sprint(r.Lost) }},
	{"twice", func(_ []Result, r *Result) string { return fmt.Sprint(r.Twice) }},
	{"× floor", func(results []Result, r *Result) string { return times(r, find(results, r.Scenario, Floor)) }},
	{"× nats", func(results []Result, r *Result) string { return times(r, find(results, r.Scenario, peer)) }},
	{"others", func(_ []Result, r *Result) string { return disturbance(r) }},
	{"", func(_ []Result, r *Result) string { return r.Note }},
}

// peer is the server that a second ratio is printed to.
const peer = "nats"

// Table writes all results, grouped by scenario as they came. A row without
// figures says why in its last column.
func Table(w io.Writer, results []Result) error {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	titles := []string{"scenario"}
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	fmt.Fprintln(table, strings.Join(titles, "\t"))
	scenario := ""
	for i := range results {
		cells := row(results, &results[i])
		if results[i].Scenario != scenario {
			scenario = results[i].Scenario
			cells[0] = scenario
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// row is a result's cells; the first is for the scenario.
func row(results []Result, r *Result) []string {
	cells := make([]string, 1+len(columns))
	if r.Error != "" {
		cells[1] = r.Server
		cells[len(columns)], _, _ = strings.Cut(r.Error, "\n")
		return cells
	}
	for i, c := range columns {
		cells[1+i] = c.cell(results, r)
	}
	return cells
}

// times is how many times another result's headline a result's is.
func times(r, base *Result) string {
	if base == nil || base.Server == r.Server {
		return ""
	}
	return number(ratios(r, base)[r.Headline])
}

// disturbance is what else the machine did, when that was enough to matter.
func disturbance(r *Result) string {
	if r.OthersPercent < Disturbing {
		return ""
	}
	return fmt.Sprintf("%.0f %%", r.OthersPercent)
}

// number writes a figure with three digits that matter.
func number(v float64) string {
	switch {
	case v == 0:
		return ""
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// count writes a large number as thousands or millions.
func count(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0f k", v/1e3)
	case v == 0:
		return ""
	}
	return fmt.Sprintf("%.0f", v)
}
