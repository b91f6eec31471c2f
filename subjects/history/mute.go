package history

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
)

// Mute says whether the leader of a stream is there, and hears enough of its replicas
// to decide, asked about one that has answered no publish, however often it was
// repeated: then it cannot write to its disk.
// A nats-server says so in its log only, and answers no publish until it is started
// anew (stream.go, processJetStreamMsgWithBatch).
func Mute(ctx context.Context, nc *nats.Conn, stream string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	described, err := Describe(ctx, nc, stream)
	return err == nil && described.Quorum
}

// replica is one that follows the leader, in an answer about the stream.
type replica struct {
	Offline bool          `json:"offline"`
	Active  time.Duration `json:"active"` // since it was heard
}

// heardWithin is how long ago a replica that is there was heard, at most: three of
// its heartbeats (raft.go of nats-server).
const heardWithin = 3 * time.Second

func quorum(replicas []replica) bool {
	heard := 1 // the leader itself
	for _, r := range replicas {
		if !r.Offline && r.Active < heardWithin {
			heard++
		}
	}
	return heard > (len(replicas)+1)/2
}
