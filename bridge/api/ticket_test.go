package api

import (
	"strconv"
	"testing"
	"time"
)

func TestTicketsAreTakenOnceAndInTime(t *testing.T) {
	t.Parallel()
	here, alone := newTickets(make([]byte, 32)), newTickets(nil)
	now := time.Unix(1_000_000, 0)
	ticket := here.give("the token", now)
	if _, _, err := alone.take(ticket, "", now); err == nil {
		t.Error("taken under another key")
	}
	token, key, err := here.take(ticket, "", now.Add(ticketLife-time.Second))
	if err != nil || token != "the token" {
		t.Fatalf("%q, %v", token, err)
	}
	// However long after: while its time lasts it is remembered, and then it is over.
	for _, after := range []time.Duration{0, ticketLife - time.Second, ticketLife, 2 * ticketLife, 10 * ticketLife} {
		if _, _, err := here.take(ticket, "", now.Add(after)); err == nil {
			t.Errorf("taken again after %s", after)
		}
	}
	if token, again, err := here.take(ticket, key, now.Add(time.Hour)); err != nil || token != "the token" || again != key {
		t.Errorf("a return: %q %q, %v", token, again, err)
	}
	if _, _, err := here.take(here.give("another", now), key, now.Add(time.Hour)); err == nil {
		t.Error("returned by the key of another ticket")
	}
	if _, _, err := here.take(here.give("late", now), "", now.Add(ticketLife)); err == nil {
		t.Error("taken late")
	}
	for _, bad := range []string{"", "x", ticket[1:], ticket + "A", ticket[:len(ticket)-2]} {
		if _, _, err := here.take(bad, "", now); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSpentTicketsAreBounded(t *testing.T) {
	t.Parallel()
	tickets, now := newTickets(nil), time.Unix(1_000_000, 0)
	for i := range ticketsAtOnce {
		if err := tickets.spend(strconv.Itoa(i), now); err != nil {
			t.Fatal(err)
		}
	}
	if err := tickets.spend("one more", now); err == nil {
		t.Error("one too many")
	}
	if err := tickets.spend("one more", now.Add(ticketLife+1)); err != nil {
		t.Error(err)
	}
	if err := tickets.spend("0", now.Add(ticketLife+1)); err == nil {
		t.Error("one of the period before was taken again")
	}
}
