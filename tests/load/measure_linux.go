package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/latido/latido/tests/load/report"
	"github.com/latido/latido/tests/load/scenario"
	"github.com/latido/latido/tests/load/server"
)

// spareDescriptors are the files that a server opens beside its connections.
const spareDescriptors = 200

// bench is one run of the program.
type bench struct {
	*measure
	dir      string
	programs server.Programs
	core     int
	results  []report.Result
}

// errBroken says that a run came to no end, or that Latido lost something or gave
// it twice.
var errBroken = errors.New("not every run came to a good end")

func (m *measure) run(ctx context.Context) error {
	scenarios, err := m.scenarios()
	if err != nil {
		return err
	}
	kinds, err := m.kinds()
	if err != nil {
		return err
	}
	b := &bench{measure: m}
	if b.dir = m.Keep; b.dir == "" {
		if b.dir, err = os.MkdirTemp("", "latido-load-"); err != nil {
			return err
		}
		defer b.remove(b.dir)
	}
	if err := b.prepare(ctx, kinds); err != nil {
		return err
	}
	if err := b.all(ctx, scenarios, kinds); err != nil {
		return err
	}
	return b.conclude()
}

// prepare builds the programs and divides the machine between server and clients.
func (b *bench) prepare(ctx context.Context, kinds []server.Kind) (err error) {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return err
	}
	b.say("building %v", kinds)
	if b.programs, err = server.Build(ctx, b.dir, kinds...); err != nil {
		return err
	}
	if b.Latido != "" {
		b.programs.Latido = b.Latido
	}
	descriptors, err := raiseDescriptors()
	if err != nil {
		return err
	}
	if most := descriptors - spareDescriptors; b.Most > most {
		b.say("a process may have %d open files (ulimit -n): at most %d connections instead of %d", descriptors, most, b.Most)
		b.Most = most
	}
	collectRarely()
	var own int
	b.core, own = server.Cores()
	if own < 0 {
		b.say("one core only: server and clients share it, so compare nothing but ratios")
	}
	return server.Pin(own)
}

// all runs everything. The servers take turns within a scenario, so that what
// changes on the machine meets all of them.
func (b *bench) all(ctx context.Context, scenarios []scenario.Scenario, kinds []server.Kind) error {
	for i, s := range scenarios {
		var group []report.Result
		for round := range b.Repeat {
			for _, kind := range kinds {
				if !s.Runs(kind) {
					continue
				}
				heading := fmt.Sprintf("[%d/%d] %s on %s", i+1, len(scenarios), s.Name, kind)
				if b.Repeat > 1 {
					heading += fmt.Sprintf(", round %d", round+1)
				}
				b.say("%s: %s", heading, s.About)
				b.calm(ctx)
				group = append(group, b.one(ctx, heading, s, kind))
				if err := context.Cause(ctx); err != nil {
					return err
				}
			}
		}
		if err := b.add(report.Medians(group)); err != nil {
			return err
		}
	}
	return nil
}

// calm waits until others leave the machine alone, or its time is over.
func (b *bench) calm(ctx context.Context) {
	for until := time.Now().Add(b.Calm); time.Now().Before(until) && ctx.Err() == nil; {
		machine, own, began := server.MachineCPU(), server.OwnCPU(), time.Now()
		time.Sleep(calmFor)
		others := server.MachineCPU() - machine - (server.OwnCPU() - own)
		if 100*float64(others)/float64(time.Since(began))/float64(server.CoreCount()) < report.Disturbing {
			return
		}
	}
}

const calmFor = 2 * time.Second

// one runs a scenario on a server that is started for it.
func (b *bench) one(ctx context.Context, heading string, s scenario.Scenario, kind server.Kind) report.Result {
	dir, err := os.MkdirTemp(b.dir, s.Name+"-"+string(kind)+"-")
	if err != nil {
		return report.Result{Scenario: s.Name, Server: string(kind), Error: err.Error()}
	}
	if b.Keep == "" {
		defer b.remove(dir)
	}
	target, err := server.Start(ctx, b.programs, server.Options{
		Kind: kind, Sync: cmp.Or(s.Sync, server.Relaxed), Core: b.core, Dir: filepath.Join(dir, "server"),
	})
	if err != nil {
		return report.Result{Scenario: s.Name, Server: string(kind), Error: err.Error()}
	}
	result := s.Run(ctx, target, kind, scenario.Options{
		Measured: b.Measured, WarmUp: b.WarmUp, Most: b.Most,
		Progress: func(what string) { b.say("%s: %s", heading, what) },
	})
	if err := target.Stop(); err != nil && result.Error == "" {
		result.Error = err.Error()
	}
	return result
}

// add prints the results of a scenario and keeps them.
func (b *bench) add(results []report.Result) error {
	report.Relate(results)
	b.results = append(b.results, results...)
	encoder := json.NewEncoder(os.Stdout)
	for i := range results {
		if err := encoder.Encode(&results[i]); err != nil {
			return err
		}
	}
	return nil
}

// conclude prints the table and compares with what was committed.
func (b *bench) conclude() error {
	fmt.Fprintln(os.Stderr)
	if err := report.Table(os.Stderr, b.results); err != nil {
		return err
	}
	committed, err := report.Load(b.Figures)
	if err != nil {
		return err
	}
	machine := server.Machine()
	if committed.Machine != "" && committed.Machine != machine {
		b.say("\nthe figures to compare with are of another machine, %s; this is %s", committed.Machine, machine)
	}
	for _, worse := range committed.Worse(b.results) {
		b.say("%s", worse)
	}
	if b.Update {
		committed.Update(machine, b.results)
		if err := committed.Save(b.Figures); err != nil {
			return err
		}
	}
	for _, broken := range report.Broken(b.results) {
		b.say("%s", broken)
		err = errBroken
	}
	return err
}

func (b *bench) remove(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		b.say("%v", err)
	}
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
