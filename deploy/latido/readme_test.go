package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeRuns checks each line by which the README calls the program: as it
// stands, with the secret that the README exports.
func TestReadmeRuns(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LATIDO_JWT_SECRET", strings.Repeat("ab", 32))
	lines := regexp.MustCompile(`(?m)^(?:go run \./deploy/)?latido\b([^#\n|]*)`).FindAllSubmatch(readme, -1)
	if len(lines) < 4 {
		t.Fatalf("found %d lines only", len(lines))
	}
	for _, line := range lines {
		args := append([]string{"check"}, strings.Fields(string(line[1]))...)
		if code, _, stderr := run(t, args...); code != 0 {
			t.Errorf("%s: exit code %d, %s", line[0], code, stderr)
		}
	}
}

// TestReadmeNamesFlags: a flag that the README speaks of is one of the program.
func TestReadmeNamesFlags(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, help, _ := run(t, "--help")
	for _, flag := range regexp.MustCompile("`(--[a-z-]+)").FindAllSubmatch(readme, -1) {
		if !strings.Contains(help, string(flag[1])+"=") && !strings.Contains(help, string(flag[1])+" ") && !strings.Contains(help, string(flag[1])+"\n") {
			t.Errorf("the README speaks of %s, which --help does not know", flag[1])
		}
	}
}
