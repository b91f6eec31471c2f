package es

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
)

func TestUnreadableFactsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	u := &unread{log: slog.New(slog.NewTextHandler(&log, nil))}
	for range 3 {
		u.note("evt.room.1", 7, errors.New("why"))
		u.note("evt.room.2", 8, errors.New("why"))
	}
	if lines := strings.Count(log.String(), "level=WARN"); lines != 2 || u.count.Load() != 2 {
		t.Errorf("%d lines, %d counted: %s", lines, u.count.Load(), log.String())
	}
	for seq := range uint64(2 * unreadKept) {
		u.note("evt.room.1", seq, errors.New("why"))
	}
	if len(u.known) > unreadKept {
		t.Errorf("%d sequences are kept", len(u.known))
	}
}

// Who follows a kind keeps the state it knows when a fact says nothing.
func TestAFactThatSaysNothingIsNotTold(t *testing.T) {
	t.Parallel()
	d := Decider[int]{
		Facts: map[string]Decoder{"counted": As[int]}, Carry: true,
		Evolve: func(state int, event Event) int { n, _ := event.Data.(int); return state + n },
	}
	header := func(name, state string) nats.Header {
		h := nats.Header{}
		subjects.SetText(h, subjects.HeaderEvent, name)
		if state != "" {
			h.Set(headerState, state)
		}
		return h
	}
	for _, row := range []struct {
		header nats.Header
		body   string
		want   int
		says   bool
	}{
		{header("counted", "7"), "3", 7, true},
		{header("counted", ""), "3", 3, true},
		{header("counted", "7"), "\x00", 7, true},
		{header("unheard_of", "7"), "{}", 7, true},
		{header("counted", ""), "\x00", 0, false},
		{header("unheard_of", ""), "{}", 0, false},
	} {
		if got, says := d.after(channel, 1, row.header, []byte(row.body)); got != row.want || says != row.says {
			t.Errorf("%v %q: got %d, %v; want %d, %v", row.header, row.body, got, says, row.want, row.says)
		}
	}
}
