package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreFresh(t *testing.T) {
	t.Parallel()
	for _, name := range files {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := fill(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(fresh, text) {
			t.Errorf("deploy/%s is stale: run `go generate ./deploy/stack`", name)
		}
	}
}

// What an operator writes outside of the sections stays, and what they write inside is
// made anew.
func TestOnlySectionsAreWritten(t *testing.T) {
	t.Parallel()
	const before, after = "theirs\n  # begin statistics\n", "  # end statistics\n# begin, they say\n"
	fresh, err := fill([]byte(before + "anything\n" + after))
	if err != nil {
		t.Fatal(err)
	}
	inside, found := strings.CutPrefix(string(fresh), before)
	inside, found2 := strings.CutSuffix(inside, after)
	if !found || !found2 || !strings.Contains(inside, "account: CHAT") || strings.Contains(inside, "anything") {
		t.Errorf("became %s", fresh)
	}
	for _, text := range []string{"", "# begin statistics\n", "# begin statistics\n# end exports\n", "# begin nothing\n# end nothing\n"} {
		if fresh, err := fill([]byte(text)); err == nil {
			t.Errorf("%q became %q", text, fresh)
		}
	}
}
