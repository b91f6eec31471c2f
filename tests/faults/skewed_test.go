package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/latido/latido/tests/kit"
)

// A Go program asks the kernel for the time without a library that could be
// replaced. What can be replaced is Go's own time.Now, for one build: its wall
// clock is wrong by so many seconds, and its monotonic clock, which timers go by,
// is right, as on a machine whose clock is set wrong.
const (
	skewVariable = "FAULTS_CLOCK_SKEW"
	askedKernel  = "\tsec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	askedWrong   = "\tsec, nsec, mono := runtimeNow()\n\tsec += skew\n\tif mono == 0 {"
	readsSkew    = `package time

import "syscall"

var skew = func() (seconds int64) {
	text, _ := syscall.Getenv("` + skewVariable + `")
	for _, digit := range []byte(text) {
		if digit != '-' {
			seconds = 10*seconds + int64(digit-'0')
		}
	}
	if len(text) > 0 && text[0] == '-' {
		return -seconds
	}
	return seconds
}()
`
)

// buildSkewed makes the program with a clock that [clockOff] sets wrong.
func buildSkewed(t *testing.T) string {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(string(bytes.TrimSpace(root)), "src", "time")
	source, err := os.ReadFile(filepath.Join(library, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(source, []byte(askedKernel)) != 1 {
		t.Skip("this Go reads its clock in another way")
	}
	folder, replaced := t.TempDir(), map[string]string{}
	for name, content := range map[string][]byte{
		"time.go": bytes.Replace(source, []byte(askedKernel), []byte(askedWrong), 1), "skew.go": []byte(readsSkew),
	} {
		replaced[filepath.Join(library, name)] = filepath.Join(folder, name)
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return kit.Build(t, "-overlay", filepath.Join(folder, "overlay.json"))
}

// clockOff is the environment of a program whose clock is wrong by d.
func clockOff(d time.Duration) []string {
	return []string{fmt.Sprintf("%s=%d", skewVariable, int(d.Seconds()))}
}
