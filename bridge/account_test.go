package bridge

import (
	"testing"

	"github.com/latido/latido/subjects/topology/bustest"
)

// Someone else signs in on a page that keeps its resume secret: that is a new
// session, and the first one goes on until it says goodbye, which is told at once.
func TestAnotherUserDoesNotContinueASession(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	one, _ := runBridge(t, bus, Config{Node: "one"})
	two, _ := runBridge(t, bus, Config{Node: "two"})
	watcher := dial(t, two, "eva")
	watcher.must(`"op":"subscribe","channel":%q,"presence":true`, lobby)
	watcher.expect("presence")
	for _, node := range []*Bridge{one, two} { // at the node of the first, and at another
		ana := dial(t, one, "ana")
		ana.must(`"op":"track","channel":%q`, lobby)
		watcher.change("joins", ana.ref())
		luis := dial(t, node, "luis", ana.secret())
		if luis.ref() == ana.ref() || luis.welcome["user"] != "luis" {
			t.Fatalf("luis is welcomed as %v, ana is %s", luis.welcome, ana.ref())
		}
		luis.must(`"op":"track","channel":%q`, lobby)
		watcher.change("joins", luis.ref())
		ana.must(`"op":"subscribe","channel":"app:still-there"`)
		if err := ana.conn.Close(1000, ""); err != nil {
			t.Fatal(err)
		}
		watcher.change("leaves", ana.ref())
		luis.must(`"op":"subscribe","channel":"app:still-there"`)
		if err := luis.conn.Close(1000, ""); err != nil {
			t.Fatal(err)
		}
		watcher.change("leaves", luis.ref())
	}
}
