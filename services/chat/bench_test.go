package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

func BenchmarkPost(b *testing.B) {
	for _, rooms := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d rooms", rooms), func(b *testing.B) {
			bus := bustest.Start(b)
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error)
			go func() { done <- Run(ctx, bus.Connect(b), estest.Verifier, slog.New(slog.DiscardHandler)) }()
			nc := bus.Connect(b)
			for i := range rooms {
				c := opening("luis")
				c.Channel = subjects.Channel{Kind: "room", ID: fmt.Sprint(i)}
				for _, err := c.Do(ctx, nc); err != nil; _, err = c.Do(ctx, nc) {
					if !errors.Is(err, nats.ErrNoResponders) {
						b.Fatal(err)
					}
				}
			}
			var n atomic.Int64
			b.SetParallelism(32)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := n.Add(1)
					c := call("ana", "post", fmt.Sprint(i), chat.Post{Text: "hola"})
					c.Channel = subjects.Channel{Kind: "room", ID: fmt.Sprint(int(i) % rooms)}
					if _, err := c.Do(ctx, nc); err != nil {
						b.Error(err)
					}
				}
			})
			cancel()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}
