package history

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// Mute says whether the leader of a stream is there, asked about one that has
// answered no publish, however often it was repeated: then it cannot write to its disk.
// A nats-server says so in its log only, and answers no publish until it is started
// anew (stream.go, processJetStreamMsgWithBatch).
func Mute(ctx context.Context, nc *nats.Conn, stream string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := Describe(ctx, nc, stream)
	return err == nil
}
