package kit

import (
	"cmp"
	"os"
	"os/exec"
	"testing"
)

// Chromium is where a real browser is, unless the environment says otherwise.
func Chromium() string { return cmp.Or(os.Getenv("CHROMIUM"), "/usr/bin/chromium") }

// LookPath finds the programs that a test needs from outside, or says why it cannot.
// Where LATIDO_BROWSER=required somebody has promised that everything is there, and a
// missing one fails the test.
func LookPath(t testing.TB, names ...string) error {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("LATIDO_BROWSER") == "required" {
				t.Fatal(err)
			}
			return err
		}
	}
	return nil
}
