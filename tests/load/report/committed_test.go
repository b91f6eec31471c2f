package report

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

func latido(scenario string, ratios map[string]float64) Result {
	return Result{Scenario: scenario, Server: Subject, Ratios: ratios}
}

func TestWorse(t *testing.T) {
	t.Parallel()
	committed := Committed{Ratios: map[string]map[string]float64{
		"rooms": {"cpu_us_per_delivery": 1.5, "rss_kb_per_connection": 4, "p99_ms": 1},
	}}
	got := committed.Worse([]Result{
		latido("rooms", map[string]float64{"cpu_us_per_delivery": 1.81, "rss_kb_per_connection": 4.7, "p99_ms": 50, "cpu_us_per_publish": 9}),
		latido("storm", map[string]float64{"cpu_us_per_delivery": 100}),
		{Scenario: "rooms", Server: Subject, OthersPercent: 40, Ratios: map[string]float64{"rss_kb_per_connection": 8}},
		{Scenario: "rooms", Server: "nats", Ratios: map[string]float64{"cpu_us_per_delivery": 100}},
	})
	want := []string{
		"WORSE: rooms cpu_us_per_delivery is 1.81 × the floor, was 1.50 (+21 %)",
		"WORSE: rooms rss_kb_per_connection is 8.00 × the floor, was 4.00 (+100 %), while others used 40 % of the machine",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCommittedFigures(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "figures.json")
	none, err := Load(file)
	if err != nil || len(none.Worse([]Result{latido("rooms", map[string]float64{"cpu_us_per_delivery": 9})})) > 0 {
		t.Fatalf("without figures: %v", err)
	}
	none.Update("a machine", []Result{latido("rooms", map[string]float64{"cpu_us_per_delivery": 1.2345}), latido("storm", map[string]float64{"us_per_event": 2, "p50_ms": 3})})
	none.Update("another", []Result{latido("rooms", map[string]float64{"cpu_us_per_delivery": 2}), {Scenario: "storm", Server: "nats"}})
	if err := none.Save(file); err != nil {
		t.Fatal(err)
	}
	kept, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if kept.Machine != "another" || !maps.Equal(kept.Ratios["storm"], map[string]float64{"us_per_event": 2}) || !maps.Equal(kept.Ratios["rooms"], map[string]float64{"cpu_us_per_delivery": 2}) {
		t.Errorf("got %+v", kept)
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	run := func(server string, cpu float64, lost uint64, failure string) Result {
		return Result{Server: server, Headline: "cpu_us_per_delivery", CPUPerDelivery: cpu, Lost: lost, Error: failure}
	}
	disturbed := run("floor", 1.5, 0, "")
	disturbed.OthersPercent = 50
	got := Medians([]Result{
		disturbed, run("floor", 3, 0, ""), run("latido", 9, 0, "broke"), run("floor", 1, 0, ""), run("latido", 5, 2, ""), run("floor", 2, 0, ""), run("nats", 0, 0, "broke"),
	})
	if len(got) != 3 || got[0].CPUPerDelivery != 2 || got[1].CPUPerDelivery != 5 || got[1].Lost != 2 || got[2].Error == "" {
		t.Errorf("got %+v", got)
	}
}

func TestBroken(t *testing.T) {
	t.Parallel()
	got := Broken([]Result{
		{Scenario: "rooms", Server: "nats", Lost: 5},
		{Scenario: "rooms", Server: Subject},
		{Scenario: "storm", Server: Subject, Twice: 1},
		{Scenario: "storm", Server: "floor", Error: "closed"},
	})
	want := []string{"BROKEN: storm: 0 lost, 1 twice", "BROKEN: storm on floor: closed"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
