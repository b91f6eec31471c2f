package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/latido/latido/schemas"
)

func TestTicketsAreTakenOnceAndInTime(t *testing.T) {
	t.Parallel()
	bus := remembering()
	here, alone := newTickets(make([]byte, 32), bus), newTickets(nil, bus)
	now := time.Unix(1_000_000, 0)
	ticket := here.give("the token", now)
	if _, _, err := alone.take(t.Context(), ticket, "", now); err == nil {
		t.Error("taken under another key")
	}
	token, key, err := here.take(t.Context(), ticket, "", now.Add(ticketLife-time.Second))
	if err != nil || token != "the token" {
		t.Fatalf("%q, %v", token, err)
	}
	// However long after: while its time lasts it is remembered, and then it is over.
	for _, after := range []time.Duration{0, ticketLife - time.Second, ticketLife, 2 * ticketLife, 10 * ticketLife} {
		if _, _, err := here.take(t.Context(), ticket, "", now.Add(after)); err == nil {
			t.Errorf("taken again after %s", after)
		}
	}
	if token, again, err := here.take(t.Context(), ticket, key, now.Add(time.Hour)); err != nil || token != "the token" || again != key {
		t.Errorf("a return: %q %q, %v", token, again, err)
	}
	if _, _, err := here.take(t.Context(), here.give("another", now), key, now.Add(time.Hour)); err == nil {
		t.Error("returned by the key of another ticket")
	}
	if _, _, err := here.take(t.Context(), here.give("late", now), "", now.Add(ticketLife)); err == nil {
		t.Error("taken late")
	}
	for _, bad := range []string{"", "x", ticket[1:], ticket + "A", ticket[:len(ticket)-2]} {
		if _, _, err := here.take(t.Context(), bad, "", now); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// What nobody can tell is no: a ticket that may have been used is not taken.
func TestNoTicketIsTakenWithoutTheBus(t *testing.T) {
	t.Parallel()
	away := schemas.Refuse(schemas.Timeout, "no answer")
	tickets := newTickets(nil, func(context.Context, string) (bool, error) { return true, away })
	now := time.Unix(1_000_000, 0)
	if token, key, err := tickets.take(t.Context(), tickets.give("the token", now), "", now); !errors.Is(err, errUntold) || token+key != "" {
		t.Errorf("%q %q, %v", token, key, err)
	}
}

// remembering is a bus that remembers what was used.
func remembering() func(context.Context, string) (bool, error) {
	used := make(map[string]bool)
	return func(_ context.Context, key string) (bool, error) {
		first := !used[key]
		used[key] = true
		return first, nil
	}
}
