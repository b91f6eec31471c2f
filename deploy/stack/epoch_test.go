package stack_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// A restart keeps the streams' epochs; a data folder that was put back from a copy
// has others.
func TestAFolderPutBackHasOtherEpochs(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Data, cfg.Parts = filepath.Join(t.TempDir(), "data"), []string{"chat"}
	epoch := func() string {
		t.Helper()
		running, err := stack.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		connection, err := nats.Connect(running.NATSURL(), nats.UserInfo("tests", "password"))
		if err != nil {
			t.Fatal(err)
		}
		described, err := history.Describe(t.Context(), connection, subjects.StreamRoom)
		connection.Close()
		if closed := running.Close(); err != nil || closed != nil {
			t.Fatal(err, closed)
		}
		return described.Epoch
	}
	first := epoch()
	if again := epoch(); again != first {
		t.Errorf("after a restart %s, was %s", again, first)
	}
	saved := t.TempDir()
	if err := os.CopyFS(saved, os.DirFS(cfg.Data)); err != nil {
		t.Fatal(err)
	}
	epoch()
	if err := os.RemoveAll(cfg.Data); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(cfg.Data, os.DirFS(saved)); err != nil {
		t.Fatal(err)
	}
	if back := epoch(); back == first {
		t.Errorf("put back it is still %s", back)
	}
}
