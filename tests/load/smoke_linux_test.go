package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/latido/latido/tests/load/scenario"
	"github.com/latido/latido/tests/load/server"
)

// TestScenarios runs each scenario with a dozen connections against each server:
// it proves that the tool works and that nothing is lost, and times nothing.
func TestScenarios(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kinds := []server.Kind{server.Latido, server.Floor, server.NATS}
	programs, err := server.Build(t.Context(), dir, kinds...)
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Join(dir, "load")
	if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", self, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	programs.Floor = []string{self, "floor"}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			every(t, programs, kind)
		})
	}
}

func every(t *testing.T, programs server.Programs, kind server.Kind) {
	t.Helper()
	target, err := server.Start(t.Context(), programs, server.Options{Kind: kind, Sync: server.Relaxed, Core: -1, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := target.Stop(); err != nil {
			t.Error(err)
		}
	}()
	for i, s := range scenario.All {
		if !s.Runs(kind) {
			continue
		}
		result := s.Run(t.Context(), target, kind, scenario.Options{
			Measured: 50 * time.Millisecond, WarmUp: 20 * time.Millisecond, Most: 12, Resting: true, Serial: uint32(i + 1),
		})
		switch {
		case result.Error != "":
			t.Errorf("%s: %s", s.Name, result.Error)
		case result.Lost > 0 || result.Twice > 0:
			t.Errorf("%s: %d lost, %d twice of %d", s.Name, result.Lost, result.Twice, result.Deliveries)
		case result.Connections == 0 || result.Publishes+result.Deliveries == 0 && result.CPUPerConnect == 0:
			t.Errorf("%s: nothing was measured: %+v", s.Name, result)
		}
	}
}
