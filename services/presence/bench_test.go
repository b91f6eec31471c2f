package presence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas/presence"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/lease"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology/bustest"
)

// BenchmarkTeam lets a team of a thousand come online at once: from the entries of
// their devices to a fact and two cards each, with the server in the process.
func BenchmarkTeam(b *testing.B) {
	const users = 1000
	bus := bustest.Start(b)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, bus.Connect(b), estest.Verifier, slog.New(slog.DiscardHandler)) }()
	nc := bus.Connect(b)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		b.Fatal(err)
	}
	members := make([]string, users-1)
	for i := range members {
		members[i] = fmt.Sprint("user ", i)
	}
	go func() { _ = lease.New(lease.Config{Node: "b0", Feed: nc, Ask: nc}).Run(ctx, func() {}) }()
	team := subjects.Channel{Kind: "group", ID: "team"}
	create := es.Call{Channel: team, Command: "create", From: "ana", Proof: estest.Proof("ana", ""), Key: "k", Body: presence.Create{Members: members}}
	for _, err := create.Do(ctx, nc); err != nil; _, err = create.Do(ctx, nc) {
		if !errors.Is(err, nats.ErrNoResponders) {
			b.Fatal(err)
		}
	}
	cards, err := nc.SubscribeSync(subjects.FeedPresence + subjects.GroupPresence("team").Present())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, user := range members {
			key := subjects.PresenceKey("b0", subjects.Channel{Kind: "user", ID: user}.Seat(user, "phone"))
			value := fmt.Appendf(nil, `{"user":%q,"ref":"phone","device":"mobile","node":"b0","meta":{"activity":"active"}}`, user)
			if _, err := js.PublishMsgAsync(seat.Hold(key, value)); err != nil {
				b.Fatal(err)
			}
		}
		for range members {
			if _, err := cards.NextMsgWithContext(ctx); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		for _, user := range members {
			key := subjects.PresenceKey("b0", subjects.Channel{Kind: "user", ID: user}.Seat(user, "phone"))
			if _, err := js.PublishMsgAsync(seat.Leave(key, 0)); err != nil {
				b.Fatal(err)
			}
		}
		for range members {
			if _, err := cards.NextMsgWithContext(ctx); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
	}
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
