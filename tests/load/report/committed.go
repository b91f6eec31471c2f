package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
)

// Committed is what a run found that was worth keeping: Latido's ratios to the
// floor. Ratios outlive a change of machine better than microseconds do.
type Committed struct {
	Machine string                        `json:"machine"` // where it ran
	Ratios  map[string]map[string]float64 `json:"ratios"`  // by scenario and figure
}

// Subject is the server whose figures are committed.
const Subject = "latido"

// tolerance is how much a ratio may grow before it is called worse.
const tolerance = 0.20

// Load reads committed figures; a file that is not there has none.
func Load(file string) (Committed, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Committed{}, nil
	}
	if err != nil {
		return Committed{}, err
	}
	var c Committed
	if err := json.Unmarshal(content, &c); err != nil {
		return Committed{}, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// Update takes over what results say; scenarios that did not run stay.
func (c *Committed) Update(machine string, results []Result) {
	c.Machine = machine
	if c.Ratios == nil {
		c.Ratios = make(map[string]map[string]float64)
	}
	for _, r := range results {
		if r.Server != Subject || len(r.Ratios) == 0 {
			continue
		}
		kept := make(map[string]float64)
		for _, f := range figures {
			if ratio, known := r.Ratios[f.name]; known && f.judged {
				kept[f.name] = math.Round(ratio*100) / 100
			}
		}
		c.Ratios[r.Scenario] = kept
	}
}

// Save writes the figures.
func (c *Committed) Save(file string) error {
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

// Worse lists, in words, the judged figures whose ratio has grown by more than
// the tolerance since they were committed.
func (c *Committed) Worse(results []Result) []string {
	var worse []string
	for _, r := range results {
		if r.Server != Subject {
			continue
		}
		for _, f := range figures {
			was, now := c.Ratios[r.Scenario][f.name], r.Ratios[f.name]
			if f.judged && was > 0 && now > was*(1+tolerance) {
				line := fmt.Sprintf("WORSE: %s %s is %.2f × the floor, was %.2f (+%.0f %%)", r.Scenario, f.name, now, was, (now/was-1)*100)
				if share := disturbance(&r); share != "" {
					line += ", while others used " + share + " of the machine"
				}
				worse = append(worse, line)
			}
		}
	}
	return worse
}

// Broken lists, in words, the runs without figures, and those in which Latido lost
// something or gave it twice.
func Broken(results []Result) []string {
	var broken []string
	for _, r := range results {
		switch {
		case r.Error != "":
			broken = append(broken, fmt.Sprintf("BROKEN: %s on %s: %s", r.Scenario, r.Server, r.Error))
		case r.Server == Subject && r.Lost+r.Twice > 0:
			broken = append(broken, fmt.Sprintf("BROKEN: %s: %d lost, %d twice", r.Scenario, r.Lost, r.Twice))
		}
	}
	return broken
}
