package console

import (
	"io/fs"
	"regexp"
	"testing"

	"github.com/latido/latido/bridge/sdk/bundletest"
)

func TestBundleIsFresh(t *testing.T) {
	t.Parallel()
	bundletest.Fresh(t, "embed.go", "src")
}

// The page must work on a machine without internet, and tell nobody that it is used.
func TestPageLoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//`)
	for _, name := range []string{"index.html", "start.css", "start.js"} {
		text, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		if found := elsewhere.Find(text); found != nil {
			t.Errorf("%s loads from elsewhere: %s", name, found)
		}
	}
}
