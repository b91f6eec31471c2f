// Package bundletest proves that a committed bundle is what its sources make. It is used by the tests of the
// packages that embed one, and imports the standard library only.
package bundletest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const directive = "//go:generate go tool esbuild "

// Fresh runs the esbuild directives of a Go file on a copy of the sources beside it and compares what comes out
// with what is committed. Sources are paths relative to the test's package; those above it are copied to the same
// relative place, so that source maps come out alike.
func Fresh(tb testing.TB, file string, sources ...string) {
	tb.Helper()
	esbuild := tool(tb)
	// Deep enough for sources that lie above the package.
	here := filepath.Join(tb.TempDir(), "above", "package")
	for _, source := range sources {
		copyTree(tb, source, filepath.Join(here, source))
	}
	for _, arguments := range directives(tb, file) {
		build := exec.CommandContext(tb.Context(), esbuild, arguments...)
		build.Dir = here
		if output, err := build.CombinedOutput(); err != nil {
			tb.Fatalf("esbuild: %v\n%s", err, output)
		}
		compare(tb, here, outfile(tb, arguments))
	}
}

func compare(tb testing.TB, built, outfile string) {
	tb.Helper()
	for _, name := range []string{outfile, outfile + ".map"} {
		want, err := os.ReadFile(filepath.Join(built, name))
		if os.IsNotExist(err) {
			continue // built without a source map
		}
		if err != nil {
			tb.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			tb.Errorf("%s is not what its sources make: run go generate", name)
		}
	}
}

// tool finds the esbuild of go.mod, built if need be.
func tool(tb testing.TB) string {
	tb.Helper()
	output, err := exec.CommandContext(tb.Context(), "go", "tool", "-n", "esbuild").Output()
	if err != nil {
		tb.Fatalf("find esbuild: %v", err)
	}
	return strings.TrimSpace(string(output))
}

func directives(tb testing.TB, file string) [][]string {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var found [][]string
	for line := range strings.Lines(string(text)) {
		if arguments, ok := strings.CutPrefix(line, directive); ok {
			found = append(found, strings.Fields(arguments))
		}
	}
	if len(found) == 0 {
		tb.Fatalf("%s has no esbuild directive", file)
	}
	return found
}

func outfile(tb testing.TB, arguments []string) string {
	tb.Helper()
	for _, argument := range arguments {
		if name, ok := strings.CutPrefix(argument, "--outfile="); ok {
			return name
		}
	}
	tb.Fatalf("no --outfile in %q", arguments)
	return ""
}

func copyTree(tb testing.TB, from, to string) {
	tb.Helper()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
	if err != nil {
		tb.Fatalf("copy sources: %v", err)
	}
}
