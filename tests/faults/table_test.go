package faults

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// row is what one test did to the system, and what was told of it.
type row struct {
	fault     string
	did       string
	presences int           // before the fault
	owed      int           // changes that had to be told, over all observers
	wrong     int           // seats that were told of too often or not often enough
	gone      time.Duration // from the fault until every list was true
	back      time.Duration // from the end of the fault until every list was true again
	note      string
}

// rows collects what all tests did, for one table at the end.
type rows struct {
	mu   sync.Mutex
	rows []row
}

var table rows

func (r *rows) add(one row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, one)
}

func (r *rows) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return
	}
	slices.SortFunc(r.rows, func(a, b row) int { return strings.Compare(a.fault, b.fault) })
	columns := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(columns, "seed %d\twhat was done\tpresences\tchanges owed\twrong\ts to truth\ts to truth after the end\t\n", *seed)
	for _, one := range r.rows {
		_, _ = fmt.Fprintf(columns, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n",
			one.fault, one.did, one.presences, one.owed, one.wrong, seconds(one.gone), seconds(one.back), one.note)
	}
	_ = columns.Flush() // w is the standard output
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", d.Seconds())
}
