package bridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/bridge/netpoll"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/bridge/websocket"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Whoever closes for good is gone at once: the server ends the connection itself,
// and the leave does not wait for the grace.
func TestGoodbye(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Limits: session.Limits{Grace: time.Hour}})
	witness := dial(t, b, "witness")
	witness.must(`"op":"subscribe","channel":"app:x","presence":true`)
	const times = 20
	quickest := time.Hour
	for i := range times {
		r := greeted(t, b, fmt.Sprint("user ", i), "")
		r.write(text(`{"id":1,"op":"track","channel":"app:x"}`))
		r.expect("ok")
		witness.find("the join", func(m message) bool { return len(refs(m, "joins")) == 1 })
		goodbye := closeWith(1000, "")
		if i%2 == 1 {
			goodbye = masked(fin|closing, "") // as close() without a code
		}
		said := time.Now()
		r.write(goodbye)
		if opcode, payload, err := r.frame(); err != nil || opcode != websocket.Close || string(payload) != "\x03\xe8" {
			t.Fatalf("answered with frame %d %q, %v", opcode, payload, err)
		}
		r.ended()
		quickest = min(quickest, time.Since(said))
		witness.find("the leave", func(m message) bool { return len(refs(m, "leaves")) == 1 })
	}
	if quickest >= netpoll.Farewell {
		t.Errorf("the quickest of %d goodbyes took %s, as if it had been waited for", times, quickest)
	}
}

// A page that is left may come back: it keeps its place, as does whoever is cut,
// and whoever answers the server's own close.
func TestPlaceIsKept(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{Limits: session.Limits{Grace: time.Hour}})
	witness := dial(t, b, "witness")
	witness.must(`"op":"subscribe","channel":"app:x","presence":true`)
	for name, part := range map[string]func(*raw){
		"goes away":     func(r *raw) { r.write(closeWith(1001, "")) },
		"means to come": func(r *raw) { r.write(closeWith(4000, "")) },
		"is cut":        func(r *raw) { _ = r.tcp.Close() },
		"breaks a rule": func(r *raw) { r.write(closeWith(999, "")) },
		"is ended by us": func(r *raw) {
			r.write(cat(text(`{"op":"hello","token":"again"}`), masked(fin|pongOp, "")))
			endOther(b, r)
			r.write(closeWith(1000, ""))
		},
	} {
		r := greeted(t, b, name, "")
		r.write(text(`{"id":1,"op":"track","channel":"app:x"}`))
		r.expect("ok")
		witness.find("the join", func(m message) bool { return len(refs(m, "joins")) == 1 })
		part(r)
		wait(t, "the session to leave", func() bool { return b.node.SessionCount() == 1 })
	}
	var page struct{ Count int }
	get(t, b, "witness", "/api/channels/app%3Ax/presence", &page)
	if page.Count != 5 || slices.ContainsFunc(witness.queue, func(m message) bool { return len(refs(m, "leaves")) > 0 }) {
		t.Errorf("%d are there, told %v", page.Count, witness.queue)
	}
}

// endOther ends a session as a drain does.
func endOther(b *Bridge, r *raw) {
	b.node.Disconnect(r.ref, schemas.Refuse(schemas.Draining, "this node stops"))
	for {
		if opcode, _, err := r.frame(); err != nil || opcode == websocket.Close {
			return
		}
	}
}
