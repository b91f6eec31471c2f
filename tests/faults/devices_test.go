package faults

import (
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/kit"
)

// TestDevices is F10: of two devices of a user one dies. The user stays online and
// the list of devices is true; only when the other has gone too are they offline.
func TestDevices(t *testing.T) {
	t.Parallel()
	const user, own, room = "ana", anas, "app:room"
	s := newStage(t)
	one, other := s.bridge("one", "--grace", "3s"), s.bridge("other", "--grace", "3s")
	watching := s.observer("room", other.HTTP, room)
	devices, _ := s.client(user, other.HTTP, "") // looks, and is no device
	s.Must(devices.Follow(s.Ctx, own, kit.FromNow, true))
	proxy := s.Proxy(one.HTTP)
	phone, _ := s.client(user, proxy.Addr(), "mobile")
	laptop, leave := s.client(user, other.HTTP, "desktop")
	for _, device := range []*kit.Client{phone, laptop} {
		s.Must(device.Track(s.Ctx, room, nil))
	}
	both := seats([]*kit.Client{phone, laptop})
	s.truth(time.Now(), both, watching)
	s.truth(time.Now(), on(own, both), devices)
	s.facts("online")

	reset(watching, devices)
	proxy.Cut()
	died := time.Now()
	gone := s.truth(died, seats([]*kit.Client{laptop}), watching)
	gone = max(gone, s.truth(died, on(own, seats([]*kit.Client{laptop})), devices))
	wrong := s.judge(watching, kit.Owed{Went: kit.Each(seats([]*kit.Client{phone}))})
	wrong += s.judge(devices, kit.Owed{Went: kit.Each(on(own, seats([]*kit.Client{phone})))})
	s.facts("online")

	leave()
	s.truth(died, nil, watching, devices)
	s.facts("online", "offline")
	table.add(row{
		fault: "F10 a device dies", did: "1 of 2 devices of a user, then the other", presences: len(both), owed: 2, wrong: wrong, gone: gone,
		note: "facts: online, and offline only after the second",
	})
}

// on are the same sessions on another channel.
func on(channel string, seats []kit.Seat) []kit.Seat {
	moved := slices.Clone(seats)
	for i := range moved {
		moved[i].Channel = channel
	}
	return moved
}

// anas is the channel of a user's own facts.
const anas = "user:ana"

// facts blocks until ana's facts are those named, in order.
func (s *stage) facts(names ...string) {
	s.T.Helper()
	for {
		truth, err := kit.ReadTruth(s.Ctx, s.NATS, subjects.StreamUser)
		var told []string
		for _, fact := range truth[anas] {
			told = append(told, fact.Event)
		}
		if err == nil && slices.Equal(told, names) {
			return
		}
		if kit.Wait(s.Ctx, 10*pause); s.Ctx.Err() != nil || len(told) > len(names) {
			s.T.Fatalf("facts of %s are %v (%v), want %v", anas, told, err, names)
		}
	}
}
