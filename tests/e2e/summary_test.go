package e2e

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/latido/latido/tests/kit"
)

// counts is what one replay did, and what its verdict found.
type counts struct {
	scenario                                  string
	clients, messages, deliveries             int
	cuts, elsewhere, recovered, kills, drains int
	lost, twice, reordered, gaps              int
	fixes, impossible, stale                  int
	requests, winners, taken                  int
	flickers, excused                         int
	took                                      time.Duration
}

func (c *counts) judged(v kit.Verdict) {
	c.deliveries += v.Deliveries
	c.lost += v.Lost
	c.twice += v.Twice
	c.reordered += v.Reordered
	c.gaps += v.Gaps
}

// summary collects the counts of all replays for one table at the end.
var summary struct {
	mu   sync.Mutex
	rows []counts
}

func report(c counts) {
	summary.mu.Lock()
	defer summary.mu.Unlock()
	summary.rows = append(summary.rows, c)
}

func printSummary(w io.Writer) {
	summary.mu.Lock()
	defer summary.mu.Unlock()
	if len(summary.rows) == 0 {
		return
	}
	slices.SortFunc(summary.rows, func(a, b counts) int { return strings.Compare(a.scenario, b.scenario) })
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintf(table, "seed %d\t", *seed)
	for _, row := range summary.rows {
		_, _ = fmt.Fprintf(table, "%s\t", row.scenario)
	}
	_, _ = fmt.Fprintln(table)
	for _, line := range []struct {
		name  string
		value func(counts) any
	}{
		{"clients", func(c counts) any { return c.clients }},
		{"acknowledged", func(c counts) any { return c.messages }},
		{"deliveries", func(c counts) any { return c.deliveries }},
		{"cuts", func(c counts) any { return c.cuts }},
		{"returns on another bridge", func(c counts) any { return c.elsewhere }},
		{"answers found in the replay", func(c counts) any { return c.recovered }},
		{"leaders killed", func(c counts) any { return c.kills }},
		{"bridges drained", func(c counts) any { return c.drains }},
		{"lost", func(c counts) any { return c.lost }},
		{"twice", func(c counts) any { return c.twice }},
		{"out of order", func(c counts) any { return c.reordered }},
		{"gaps", func(c counts) any { return c.gaps }},
		{"fixes taken", func(c counts) any { return c.fixes }},
		{"fixes refused: impossible", func(c counts) any { return c.impossible }},
		{"fixes refused: stale", func(c counts) any { return c.stale }},
		{"requests", func(c counts) any { return c.requests }},
		{"requests with one taker", func(c counts) any { return c.winners }},
		{"takers that came too late", func(c counts) any { return c.taken }},
		{"presence flickers", func(c counts) any { return c.flickers }},
		{"members away for all their grace", func(c counts) any { return c.excused }},
		{"seconds", func(c counts) any { return fmt.Sprintf("%.1f", c.took.Seconds()) }},
	} {
		_, _ = fmt.Fprintf(table, "%s\t", line.name)
		for _, row := range summary.rows {
			_, _ = fmt.Fprintf(table, "%v\t", line.value(row))
		}
		_, _ = fmt.Fprintln(table)
	}
	_ = table.Flush()
}
