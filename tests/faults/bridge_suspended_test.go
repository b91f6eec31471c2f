//go:build unix

package faults

import (
	"syscall"
	"testing"
	"time"
)

// TestBridgeSuspended is F9 without an end: a bridge sleeps for longer than its
// lease while its connections stay. Its members count as gone, and are back as soon
// as it wakes, devices too, although nobody touches them.
func TestBridgeSuspended(t *testing.T) {
	t.Parallel()
	const user, own, room = "ana", anas, "app:room"
	s := newStage(t)
	sleeper, lookout := s.bridge("sleeper"), s.bridge("lookout")
	watching := s.observer("watching", lookout.http, room)
	devices, _ := s.peer(user, lookout.http, "") // looks, and is no device
	s.must(devices.Watch(s.ctx, own))
	phone, _ := s.peer(user, sleeper.http, "mobile")
	s.must(phone.Show(s.ctx, room))
	here := seats([]*Peer{phone})
	s.truth(time.Now(), here, watching)
	s.truth(time.Now(), on(own, here), devices)

	turn(watching, devices)
	s.must(sleeper.command.Process.Signal(syscall.SIGSTOP))
	slept := time.Now()
	gone := s.truth(slept, nil, watching, devices)
	s.facts("online", "offline")
	s.must(sleeper.command.Process.Signal(syscall.SIGCONT))
	woke := time.Now()
	back := s.truth(woke, here, watching)
	back = max(back, s.truth(woke, on(own, here), devices))
	s.facts("online", "offline", "online")
	wrong := s.judge(watching, Owed{Went: Each(here), Came: Each(here)})
	wrong += s.judge(devices, Owed{Went: Each(on(own, here)), Came: Each(on(own, here))})
	table.add(row{
		fault: "F9 bridge suspended", did: "1 device and 1 presence, for " + time.Since(slept).Round(time.Second).String(), presences: 2, owed: 4, wrong: wrong, gone: gone,
		note: "back after " + back.Round(100*time.Millisecond).String(),
	})
}
