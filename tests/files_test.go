package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// topLevel is what may stand at the root beside dotfiles.
var topLevel = []string{
	"subjects", "schemas", "services", "bridge", "deploy", "tests",
	"go.mod", "go.sum", "Taskfile.yml", "README.md", "LICENSE",
}

const longest = 400 // lines of a file written by hand that is not a test

var (
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
	// vague names say nothing about what is in the file.
	vague = []string{"utils", "util", "helpers", "helper", "common", "types", "misc"}
	// homeless is text that means something on one machine only: folders of a
	// home or a scratch disk, and mirrors in place of the public registries.
	homeless = regexp.MustCompile(`(^|[\s"'=(:` + "`" + `])/(home|Users|tmp|work|mnt)/[a-z]|` +
		`registry\.(npmjs|yarnpkg|npmmirror)\.|proxy\.golang\.|sum\.golang\.|goproxy\.|GOPROXY=`)
)

// file is a file of the repository, committed or about to be.
type file struct {
	name    string // with slashes, from the root
	mode    os.FileMode
	content []byte // of a link to a folder none
}

func (f file) base() string { return path.Base(f.name) }
func (f file) isGo() bool   { return strings.HasSuffix(f.name, ".go") }
func (f file) isTest() bool { return strings.HasSuffix(f.name, "_test.go") }
func (f file) isGenerated() bool {
	return strings.HasSuffix(f.name, "_gen.go") || strings.HasSuffix(f.name, "_gen_test.go")
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		first, _, _ := strings.Cut(f.name, "/")
		if !strings.HasPrefix(first, ".") && !slices.Contains(topLevel, first) {
			t.Errorf("%s: %s is not one of %v", f.name, first, topLevel)
		}
	}
}

func TestGeneratedFilesSaySo(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.isGo() && generated.Match(f.content) != f.isGenerated() {
			t.Errorf("%s: a file is generated if and only if it ends in _gen.go or _gen_test.go and carries the header", f.name)
		}
	}
}

func TestFilesAreShortAndNamed(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		name, _, _ := strings.Cut(strings.TrimSuffix(f.base(), "_test.go"), ".")
		if slices.Contains(vague, name) && f.base() != "types.d.ts" {
			t.Errorf("%s: the name does not say what is in it", f.name)
		}
		if lines := bytes.Count(f.content, []byte("\n")); f.isGo() && !f.isTest() && !f.isGenerated() && lines > longest {
			t.Errorf("%s: %d lines, split it along an idea (%d at most)", f.name, lines, longest)
		}
	}
}

func TestOneFileTouchesTheUpgrade(t *testing.T) {
	t.Parallel()
	var users []string
	for _, f := range files(t) {
		if f.isGo() && !f.isTest() && bytes.Contains(f.content, []byte(`"github.com/gofiber/contrib/websocket"`)) {
			users = append(users, f.name)
		}
	}
	if len(users) > 1 || len(users) == 1 && path.Dir(users[0]) != "bridge/api" {
		t.Errorf("%v import contrib/websocket, whose next version is for another Fiber: keep it in one file of bridge/api", users)
	}
}

func TestNothingIsOfOneMachine(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		// Lock files name the public registry by their nature.
		if f.base() == "package-lock.json" || f.base() == "go.sum" || f.name == "tests/files_test.go" {
			continue
		}
		for number, line := range bytes.Split(f.content, []byte("\n")) {
			if found := homeless.Find(line); found != nil {
				t.Errorf("%s:%d: %q means something on one machine only", f.name, number+1, found)
			}
		}
	}
}

// A link is a folder of one machine, or a surprise on a file system without links.
func TestNothingIsALink(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.mode&os.ModeSymlink != 0 {
			t.Errorf("%s: links are not kept here, wherever they lead", f.name)
		}
	}
}

// files reads what git tracks or would add.
func files(tb testing.TB) []file {
	tb.Helper()
	command := exec.CommandContext(tb.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	command.Dir = ".."
	listed, err := command.Output()
	if err != nil {
		tb.Skip("not a git checkout:", err)
	}
	var all []file
	for name := range strings.SplitSeq(strings.TrimSuffix(string(listed), "\x00"), "\x00") {
		where := filepath.Join("..", filepath.FromSlash(name))
		entry, err := os.Lstat(where)
		if err != nil {
			continue // deleted, not committed yet
		}
		content, err := os.ReadFile(where)
		if err != nil && entry.Mode().IsRegular() {
			tb.Fatal(err)
		}
		all = append(all, file{name, entry.Mode(), content})
	}
	return all
}
