package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/latido/latido/tests/load/scenario"
	"github.com/latido/latido/tests/load/server"
)

// commandLine is everything a user can say.
type commandLine struct {
	measure
	Measure struct{}     `cmd:"" default:"1" hidden:""`
	Floor   floorCommand `cmd:"" hidden:"" help:"Be the floor server."`
}

// measure is what to run, and how long.
type measure struct {
	Scenario []string      `placeholder:"NAME" help:"Scenarios to run: all, or of ${scenarios}."`
	Server   []string      `default:"floor,latido" help:"Servers to run each on: latido (NATS embedded), split (NATS in a process of its own), floor, nats (a nats-server's WebSocket listener)."`
	Measured time.Duration `default:"5s" help:"How long steady work is measured."`
	WarmUp   time.Duration `default:"1s" help:"How long it goes on before."`
	Most     int           `default:"20000" help:"Most connections of a run. File descriptors may allow fewer."`
	Repeat   int           `default:"1" help:"Runs of each scenario on each server; of those that nobody disturbed, the one with the median of the figure that says most counts."`
	Calm     time.Duration `default:"0s" help:"How long to wait before each run, at most, for others to leave the machine alone."`
	Figures  string        `default:"tests/load/figures.json" help:"File of the ratios to compare with."`
	Update   bool          `help:"Write the ratios of this run to that file."`
	Latido   string        `placeholder:"FILE" help:"Latido program to measure, instead of building it: another version, or one with a profiler."`
	Keep     string        `placeholder:"DIR" help:"Keep programs, data and logs in this folder."`
}

type floorCommand struct {
	Address string `arg:"" help:"Where to listen, as 127.0.0.1:9000."`
	Journal string `arg:"" help:"File for what is stored."`
	Flush   bool   `help:"Flush it to the disk each time."`
}

// parse returns false when help was asked for and given.
func (l *commandLine) parse(args []string, stdout, stderr io.Writer) (*kong.Context, bool, error) {
	helped := false
	parser, err := kong.New(l,
		kong.Name("load"), kong.Description("Says what a server costs, beside a floor that only writes frames."),
		kong.Vars{"scenarios": names()}, kong.Writers(stdout, stderr), kong.Exit(func(int) { helped = true }),
	)
	if err != nil {
		return nil, false, err
	}
	parsed, err := parser.Parse(args)
	if helped {
		return nil, false, nil
	}
	return parsed, true, err
}

func names() string {
	var all []string
	for _, s := range scenario.All {
		all = append(all, s.Name)
	}
	return strings.Join(all, ", ")
}

// scenarios are those asked for, in the order in which they run.
func (m *measure) scenarios() ([]scenario.Scenario, error) {
	if len(m.Scenario) == 0 || slices.Equal(m.Scenario, []string{"all"}) {
		return scenario.All, nil
	}
	var chosen []scenario.Scenario
	for _, name := range m.Scenario {
		at := slices.IndexFunc(scenario.All, func(s scenario.Scenario) bool { return s.Name == name })
		if at < 0 {
			return nil, fmt.Errorf("no scenario %q: there are %s", name, names())
		}
		chosen = append(chosen, scenario.All[at])
	}
	return chosen, nil
}

// kinds are the servers asked for.
func (m *measure) kinds() ([]server.Kind, error) {
	var kinds []server.Kind
	for _, name := range m.Server {
		kind := server.Kind(name)
		if !slices.Contains(server.Kinds, kind) {
			return nil, fmt.Errorf("no server %q: there are %v", name, server.Kinds)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}
