// Package scenario holds what is measured: each scenario connects a fleet to a
// server, does one kind of work, and says what it cost.
package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/fleet"
	"github.com/latido/latido/tests/load/report"
	"github.com/latido/latido/tests/load/server"
)

// Scenario is one kind of work.
type Scenario struct {
	Name     string
	About    string
	Sync     server.Sync   // how the server keeps what is stored
	Without  []server.Kind // servers that cannot do it
	headline string        // the figure that says most
	work     work
}

// work does what is measured and completes the result.
type work interface {
	run(context.Context, *run) error
}

// Options say how large a run is.
type Options struct {
	Measured time.Duration // how long steady work is measured
	WarmUp   time.Duration // how long it goes on before
	Most     int           // connections; a scenario that wants more has fewer
	Resting  bool          // the clients sleep between events: kind to others, wrong in figures
	Serial   uint32        // of runs against the same server, so that no two share a channel
	Progress func(string)  // is told what goes on; nil is fine
}

// All are the scenarios in the order in which they run.
var All = slices.Concat(idleScenarios, broadcastScenarios, stormScenarios, publishScenarios, presenceScenarios, slowScenarios)

// Runs says whether a kind of server can do the scenario.
func (s Scenario) Runs(kind server.Kind) bool { return !slices.Contains(s.Without, kind) }

// Run runs the scenario against a server. What goes wrong is part of the result.
func (s Scenario) Run(ctx context.Context, target *server.Server, kind server.Kind, o Options) report.Result {
	r := &run{server: target, kind: kind, options: o, name: s.Name, result: report.Result{
		Scenario: s.Name, Server: string(kind), Headline: s.headline,
	}}
	if err := r.do(ctx, s.work); err != nil {
		r.result.Error = err.Error()
	}
	return r.result
}

// run is one run of a scenario.
type run struct {
	server  *server.Server
	fleet   *fleet.Fleet
	kind    server.Kind
	options Options
	name    string
	made    uint32 // channels
	result  report.Result
}

func (r *run) do(ctx context.Context, w work) (err error) {
	r.fleet, err = fleet.New(dialects[r.kind], r.server.Address, server.Token)
	if err != nil {
		return err
	}
	defer r.fleet.Close()
	r.fleet.Rest(r.options.Resting)
	machine, own := server.MachineCPU(), server.OwnCPU()
	used, _ := r.server.CPU()
	began := time.Now()
	if err := w.run(ctx, r); err != nil {
		return err
	}
	usedNow, _ := r.server.CPU()
	others := server.MachineCPU() - machine - (server.OwnCPU() - own) - max(usedNow-used, 0)
	r.result.OthersPercent = percent(max(others, 0), time.Since(began)) / float64(server.CoreCount())
	return nil
}

var dialects = map[server.Kind]dialect.Dialect{
	server.Latido: dialect.Latido{}, server.Split: dialect.Latido{}, server.Floor: dialect.Floor{}, server.NATS: dialect.NATS{},
}

func percent(part, whole time.Duration) float64 { return 100 * float64(part) / float64(whole) }

// scale makes a number of groups of a size fit what there may be of connections.
func (r *run) scale(groups, size int) (int, int) {
	size = min(size, r.options.Most)
	return max(min(groups, r.options.Most/size), 1), size
}

// feeds are new channels.
func (r *run) feeds(n int, keeping dialect.Keeping) []*fleet.Feed {
	const perRun = 1 << 16
	feeds := make([]*fleet.Feed, n)
	for i := range feeds {
		r.made++
		feeds[i] = &fleet.Feed{Channel: dialect.Channel{
			Number: r.options.Serial*perRun + r.made, Name: fmt.Sprintf("%s-%d-%d", r.name, r.options.Serial, r.made), Keeping: keeping,
		}}
	}
	return feeds
}

func (r *run) say(format string, args ...any) {
	if r.options.Progress != nil {
		r.options.Progress(fmt.Sprintf(format, args...))
	}
}

// handshakes is how many members connect at once where nobody measures it.
const handshakes = 256

// connect connects members and lets them subscribe, and says what that cost.
func (r *run) connect(ctx context.Context, members []*fleet.Member, subscribe func() error) error {
	r.say("connecting %d", len(members))
	resident := r.server.Resident()
	before, _ := r.server.CPU()
	if err := r.fleet.Connect(ctx, members, handshakes); err != nil {
		return err
	}
	if err := subscribe(); err != nil {
		return err
	}
	after, _ := r.server.CPU()
	n := float64(len(members))
	r.result.Connections = len(members)
	r.result.CPUPerConnect = microseconds(after-before) / n
	r.result.KBPerConnection = float64(r.server.Resident()-resident) / 1024 / n
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
