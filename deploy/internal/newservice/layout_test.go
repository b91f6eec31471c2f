package main

import (
	"bytes"
	"errors"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// needed is what a service is built and tested with, and what names every service.
var needed = []string{"go.mod", "go.sum", "README.md", "subjects", "schemas", "services/internal", "deploy/stack/parts.go"}

// What is laid out is formatted, and builds, and its tests pass.
func TestWhatIsLaidOutWorks(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	for _, path := range needed {
		copyTo(t, path, to)
	}
	written, err := layOut(to, "poll")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range written {
		text, err := os.ReadFile(filepath.Join(to, path))
		if err != nil {
			t.Fatal(err)
		}
		if formatted, err := format.Source(text); strings.HasSuffix(path, ".go") && (err != nil || !bytes.Equal(formatted, text)) {
			t.Errorf("%s: not formatted: %v", path, err)
		}
		if !bytes.Contains(bytes.ToLower(text), []byte("poll")) && !strings.HasSuffix(path, ".example.json") {
			t.Errorf("%s does not name it", path)
		}
	}
	for _, arguments := range [][]string{
		{"run", "./schemas/internal/gen", "-go-only", "-root", "schemas"},
		{"test", "-vet=off", "./services/poll", "./schemas"},
	} {
		command := exec.CommandContext(t.Context(), "go", arguments...)
		command.Dir = to
		if told, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", arguments, err, told)
		}
	}
	if again, err := layOut(to, "poll"); !errors.Is(err, errName) || len(again) > 0 {
		t.Errorf("a second time: %v, wrote %v", err, again)
	}
}

func TestNamesThatMeanSomethingElse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "p", "Poll", "po-ll", "../poll", "7poll", strings.Repeat("p", 21), // no words
		"chat", "bridge", "topology", "room", "system", "internal", "sample", "typescript", "edge", "func", "es", "string", "open", "event", "call", "slog", "services", "main", "testdata",
	} {
		if written, err := layOut(root, name); !errors.Is(err, errName) || len(written) > 0 {
			t.Errorf("%q: %v, wrote %v", name, err, written)
		}
	}
}

// A list that is not where it was is no reason to write half a service.
func TestAMissingPlaceIsNoted(t *testing.T) {
	t.Parallel()
	to := t.TempDir()
	for _, path := range []string{"README.md", "subjects/catalog.go", "deploy/stack/parts.go"} {
		copyTo(t, path, to)
	}
	if err := os.WriteFile(filepath.Join(to, "subjects", "catalog.go"), []byte("package subjects\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if written, err := layOut(to, "poll"); !errors.Is(err, errPlace) || len(written) > 0 {
		t.Errorf("%v, wrote %v", err, written)
	}
}

// copyTo copies a file or a folder of the repository, without what npm brings.
func copyTo(t *testing.T, path, to string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, path), func(from string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		below, err := filepath.Rel(root, from)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(below)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, below), text, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
