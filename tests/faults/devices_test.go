package faults

import (
	"slices"
	"testing"
	"time"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/tests/e2e"
)

// TestDevices is F10: of two devices of a user one dies. The user stays online and
// the list of devices is true; only when the other has gone too are they offline.
func TestDevices(t *testing.T) {
	t.Parallel()
	const user, own, room = "ana", anas, "app:room"
	s := newStage(t)
	one, other := s.bridge("one", "--grace", "3s"), s.bridge("other", "--grace", "3s")
	watching := s.observer("room", other.http, room)
	devices, _ := s.peer(user, other.http, "") // looks, and is no device
	s.must(devices.Watch(s.ctx, own))
	pocket := s.cable(one.http)
	phone, _ := s.peer(user, pocket.Addr(), "mobile")
	laptop, leave := s.peer(user, other.http, "desktop")
	for _, device := range []*Peer{phone, laptop} {
		s.must(device.Show(s.ctx, room))
	}
	both := seats([]*Peer{phone, laptop})
	s.truth(time.Now(), both, watching)
	s.truth(time.Now(), on(own, both), devices)
	s.facts("online")

	turn(watching, devices)
	pocket.Sever()
	died := time.Now()
	gone := s.truth(died, seats([]*Peer{laptop}), watching)
	gone = max(gone, s.truth(died, on(own, seats([]*Peer{laptop})), devices))
	wrong := s.judge(watching, Owed{Went: Each(seats([]*Peer{phone}))})
	wrong += s.judge(devices, Owed{Went: Each(on(own, seats([]*Peer{phone})))})
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
func on(channel string, seats []Seat) []Seat {
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
	s.t.Helper()
	for {
		truth, err := e2e.ReadTruth(s.ctx, s.nc, subjects.StreamUser)
		var told []string
		for _, fact := range truth[anas] {
			told = append(told, fact.Event)
		}
		if err == nil && slices.Equal(told, names) {
			return
		}
		if wait(s.ctx, 10*pause); s.ctx.Err() != nil || len(told) > len(names) {
			s.t.Fatalf("facts of %s are %v (%v), want %v", anas, told, err, names)
		}
	}
}
