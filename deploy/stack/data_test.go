package stack_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/latido/latido/deploy/stack"
)

// A first start for which there was no room left a mark without a version.
func TestAnEmptyMarkIsNone(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	write(t, cfg.Data, "latido-version", "")
	running, err := stack.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := running.Close(); err != nil {
		t.Error(err)
	}
	content, err := os.ReadFile(filepath.Join(cfg.Data, "latido-version"))
	if err != nil || string(content) != "1\n" {
		t.Errorf("marked %q: %v", content, err)
	}
	if left, err := filepath.Glob(filepath.Join(cfg.Data, "latido-version?*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
