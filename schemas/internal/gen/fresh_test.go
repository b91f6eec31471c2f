package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const root = "../.."

func TestGoTypesAreFresh(t *testing.T) {
	t.Parallel()
	outputs, err := goOutputs(root)
	if err != nil {
		t.Fatal(err)
	}
	requireFresh(t, outputs)
}

func TestTypeScriptTypesAreFresh(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed: the TypeScript types stay unchecked")
	}
	if _, err := os.Stat(filepath.Join(root, "typescript/node_modules/json-schema-to-typescript")); err != nil {
		t.Skip("run `npm ci --prefix schemas/typescript` to have the TypeScript types checked")
	}
	outputs, err := typescriptOutputs(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	requireFresh(t, outputs)
}

func requireFresh(t *testing.T, outputs map[string][]byte) {
	t.Helper()
	for path, want := range outputs {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("schemas/%s is stale: run `go generate ./schemas`", path)
		}
	}
}

// TestTitleIsTypeName keeps a type findable: its file's name tells it.
func TestTitleIsTypeName(t *testing.T) {
	t.Parallel()
	folders, err := folders(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		schemas, err := load(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range schemas {
			if want := goName(s.name()); s.Title != want {
				t.Errorf("%s has the title %q, want %q", s.path, s.Title, want)
			}
		}
	}
}
