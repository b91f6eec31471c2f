package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/latido/latido/tests/load/count"
	"github.com/latido/latido/tests/load/fleet"
)

// window is one stretch of time over which costs are counted.
type window struct {
	run      *run
	began    time.Time
	cpu, bus time.Duration
}

func (r *run) open() window {
	cpu, bus := r.server.CPU()
	return window{r, time.Now(), cpu, bus}
}

// close takes what happened since open over into the result: so many publishes
// and deliveries.
func (w window) close(publishes, deliveries uint64) {
	cpu, bus := w.run.server.CPU()
	took := time.Since(w.began)
	result := &w.run.result
	result.Seconds = took.Seconds()
	result.CPUPercent = percent(cpu-w.cpu, took)
	result.Publishes, result.Deliveries = publishes, deliveries
	if deliveries > 0 {
		result.CPUPerDelivery = microseconds(cpu-w.cpu) / float64(deliveries)
		result.PerSecond = float64(deliveries) / took.Seconds()
	}
	if publishes > 0 {
		result.CPUPerPublish = microseconds(cpu-w.cpu) / float64(publishes)
		result.NATSPerPublish = microseconds(bus-w.bus) / float64(publishes)
	}
}

// delays takes over a histogram.
func (r *run) delays(h *count.Histogram) {
	r.result.P50, r.result.P99, r.result.P999 = milliseconds(h.Quantile(0.5)), milliseconds(h.Quantile(0.99)), milliseconds(h.Quantile(0.999))
}

// steadily publishes for the time that is measured, after a warm-up, and fills the
// result.
func (r *run) steadily(ctx context.Context, p *fleet.Publisher, measured time.Duration) error {
	if err := r.fleet.Drive(ctx, r.options.WarmUp, p.Pump); err != nil {
		return err
	}
	p.Reset()
	published := p.Published
	w := r.open()
	r.say("measuring")
	if err := r.fleet.Drive(ctx, measured, p.Pump); err != nil {
		return err
	}
	something := func() bool { // which takes longer than a short run on a busy machine
		p.Pump()
		return p.Published > published && r.fleet.Delivered+r.fleet.Answered > 0
	}
	if err := r.fleet.Await(ctx, drainTime, "measure", something); err != nil {
		return err
	}
	w.close(p.Published-published, r.fleet.Delivered)
	r.delays(&r.fleet.Latency)
	return nil
}

// hush lets the server notice that members are gone, or say what comes twice.
func (r *run) hush(ctx context.Context) error { return r.fleet.Drive(ctx, r.options.WarmUp, func() {}) }

// drainTime is how long what was published may take to arrive.
const drainTime = 15 * time.Second

// settle lets what is in flight arrive and counts what the members lack.
func (r *run) settle(ctx context.Context, p *fleet.Publisher, members []*fleet.Member) error {
	p.Limit = p.Published
	until := time.Now().Add(drainTime)
	if err := r.fleet.Await(ctx, 2*drainTime, "drain", func() bool { return p.Done() || time.Now().After(until) }); err != nil {
		return err
	}
	r.account(members)
	if p.Stalls > 0 {
		r.result.Note = fmt.Sprintf("nothing came for 2 s, %d times", p.Stalls)
	}
	return nil
}

// account counts what members lack, and what they have twice.
func (r *run) account(members []*fleet.Member) {
	for _, m := range members {
		r.result.Lost += m.Lost()
		r.result.Twice += m.Receipt.Twice()
		r.result.Late += m.Receipt.Late()
	}
}
