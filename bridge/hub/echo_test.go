package hub

import (
	"bytes"
	"log/slog"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// A cursor that leaves a session out shares the chunks in which it has no part, and of
// the others, and of a page, is given everything else.
func TestExceptOneSession(t *testing.T) {
	t.Parallel()
	h := New(Config{Kinds: subjects.Catalog, Flushers: 1, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	ch := h.newChannel(subjects.Channel{Kind: "app", ID: "1"})
	o := &Outlet{flusher: h.flushers[0], view: plain}
	all, except := NewCursor(o, ch, Lasting, false), NewCursor(o, ch, Lasting, false)
	except.Except = "mine"
	all.stage, except.stage = attached, attached
	sequence := 0
	put := func(sessions ...string) (others int) {
		for _, session := range sessions {
			sequence++
			ch.append(eventEntry(wire.Event{Channel: "app:1", Event: "said", Session: session, Data: []byte(strconv.Itoa(sequence))}))
			if session != "mine" {
				others++
			}
		}
		return others
	}
	gather := func(c *Cursor) (o output) { c.gather(&o); return o }

	put("", "yours", "yours")
	if a, e := gather(all), gather(except); len(a.pieces) != 1 || len(e.pieces) != 1 || &a.pieces[0][0] != &e.pieces[0][0] {
		t.Errorf("no chunk is shared: %d and %d pieces", len(a.pieces), len(e.pieces))
	}
	others := put("yours", "mine", "", "mine", "mine", "yours")
	a, e := gather(all), gather(except)
	if n := count(a); n != 6 {
		t.Errorf("told %d events, want 6", n)
	}
	if n := count(e); n != others || !except.done() {
		t.Errorf("told %d events of other sessions, want %d", n, others)
	}
	put("mine")
	if e := gather(except); len(e.pieces) != 0 || !except.done() {
		t.Errorf("told %d events of its own", count(e))
	}

	page := &page{upTo: 9}
	for i, session := range []string{"mine", "yours", "mine"} {
		page.entries = append(page.entries, eventEntry(wire.Event{Channel: "app:1", Event: "said", Session: session, Sequence: uint64(i + 1), Data: []byte("1")}))
	}
	var paged output
	if except.takePage(page, &paged); count(paged) != 1 || except.sequence != 9 {
		t.Errorf("told %d events of a page, up to %d", count(paged), except.sequence)
	}
}

func count(o output) (events int) {
	for _, piece := range o.pieces {
		events += bytes.Count(piece, []byte(`"op":"event"`))
	}
	return events
}
