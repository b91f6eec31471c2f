package stack

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// A data folder that was copied, or whose machine lost power, may hold another past
// than the one readers saw.
func TestSinceLastRun(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		clean  bool
		befall func(t *testing.T, folder string) (now string)
		want   loss
	}{
		"stopped": {clean: true, want: lostNothing},
		"killed":  {want: lostRelaxed},
		"moved": {clean: true, want: lostNothing, befall: func(t *testing.T, folder string) string {
			moved := filepath.Join(t.TempDir(), "moved")
			if err := os.Rename(folder, moved); err != nil {
				t.Fatal(err)
			}
			return moved
		}},
		"copied": {clean: true, want: lostAnything, befall: func(t *testing.T, folder string) string {
			copied := t.TempDir()
			if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			return copied
		}},
		"streams put back": {clean: true, want: lostAnything, befall: func(t *testing.T, folder string) string {
			store := filepath.Join(folder, storeFolder)
			saved := t.TempDir()
			if err := os.CopyFS(saved, os.DirFS(store)); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(store, filepath.Join(t.TempDir(), "old")); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(store, os.DirFS(saved)); err != nil {
				t.Fatal(err)
			}
			return folder
		}},
		"after a power cut": {want: lostFlushes, befall: func(t *testing.T, folder string) string {
			rewrite(t, folder, bootID(), "another boot")
			return folder
		}},
		"no note of it": {clean: true, want: lostAnything, befall: func(t *testing.T, folder string) string {
			if err := os.Remove(filepath.Join(folder, runFile)); err != nil {
				t.Fatal(err)
			}
			return folder
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "data")
			if err := os.MkdirAll(filepath.Join(folder, storeFolder), 0o750); err != nil {
				t.Fatal(err)
			}
			d := &dataFolder{path: folder}
			if err := d.markRun(row.clean); err != nil {
				t.Fatal(err)
			}
			if row.befall != nil {
				d.path = row.befall(t, folder)
			}
			if bootID() == "" {
				t.Skip("this system does not say enough of files and boots")
			}
			if got := d.sinceLastRun(); got != row.want {
				t.Errorf("lost %d, want %d", got, row.want)
			}
		})
	}
	fresh := &dataFolder{path: t.TempDir()}
	if got := fresh.sinceLastRun(); got != lostNothing {
		t.Errorf("a new folder has lost %d", got)
	}
}

func rewrite(t *testing.T, folder, from, to string) {
	t.Helper()
	name := filepath.Join(folder, runFile)
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte(from), []byte(to), 1)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
