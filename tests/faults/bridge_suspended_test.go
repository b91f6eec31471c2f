//go:build unix

package faults

import (
	"syscall"
	"testing"
	"time"

	"github.com/latido/latido/tests/kit"
)

// TestBridgeSuspended is F9 without an end: a bridge sleeps for longer than its
// lease while its connections stay. Its members count as gone, and are back as soon
// as it wakes, devices too, although nobody touches them.
func TestBridgeSuspended(t *testing.T) {
	t.Parallel()
	const user, own, room = "ana", anas, "app:room"
	s := newStage(t)
	sleeper, observing := s.bridge("sleeper"), s.bridge("observing")
	watching := s.observer("watching", observing.HTTP, room)
	devices, _ := s.client(user, observing.HTTP, "") // looks, and is no device
	s.Must(devices.Follow(s.Ctx, own, kit.FromNow, true))
	phone, _ := s.client(user, sleeper.HTTP, "mobile")
	s.Must(phone.Track(s.Ctx, room, nil))
	here := seats([]*kit.Client{phone})
	s.truth(time.Now(), here, watching)
	s.truth(time.Now(), on(own, here), devices)

	reset(watching, devices)
	s.Must(sleeper.OS.Signal(syscall.SIGSTOP))
	slept := time.Now()
	gone := s.truth(slept, nil, watching, devices)
	s.facts("online", "offline")
	s.Must(sleeper.OS.Signal(syscall.SIGCONT))
	woke := time.Now()
	back := s.truth(woke, here, watching)
	back = max(back, s.truth(woke, on(own, here), devices))
	s.facts("online", "offline", "online")
	wrong := s.judge(watching, kit.Owed{Went: kit.Each(here), Came: kit.Each(here)})
	wrong += s.judge(devices, kit.Owed{Went: kit.Each(on(own, here)), Came: kit.Each(on(own, here))})
	table.add(row{
		fault: "F9 bridge suspended", did: "1 device and 1 presence, for " + time.Since(slept).Round(time.Second).String(), presences: 2, owed: 4, wrong: wrong, gone: gone,
		note: "back after " + back.Round(100*time.Millisecond).String(),
	})
}
