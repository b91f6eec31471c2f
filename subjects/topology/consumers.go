package topology

import (
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
)

// ReactionTime is how long a reactor may take for one fact; then the fact goes to
// another replica.
const ReactionTime = 30 * time.Second

// Consumer is a durable consumer and the stream it reads.
type Consumer struct {
	Stream string
	Config jetstream.ConsumerConfig
}

// Consumers lists the durable consumers of the services' reactors. They are
// declared here, beside the streams, because whoever may create a consumer can
// have the server deliver to any subject, and so forge what others own: services
// only bind to theirs.
func Consumers() []Consumer {
	consumers := []Consumer{
		reactor(subjects.StreamOps, "ops-assignment", "evt.ops.*", "opens the room and the track of an accepted request"),
		reactor(subjects.StreamUser, "user-members", "evt.user.*", "keeps who does not want to be disturbed"),
		reactor(subjects.StreamUser, "user-due", "fired.user.*.*", "judges users at their deadlines"),
	}
	for _, name := range slices.Sorted(maps.Keys(subjects.Catalog)) {
		if kind := subjects.Catalog[name]; kind.Stream != "" && kind.Read == subjects.Members {
			consumers = append(consumers, reactor(kind.Stream, name+"-members", "evt."+name+".*", "keeps who belongs to what"))
		}
	}
	return consumers
}

func reactor(stream, name, filter, does string) Consumer {
	return Consumer{stream, jetstream.ConsumerConfig{
		Durable: name, Description: does, FilterSubject: filter, Metadata: metadata(),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ReactionTime, MaxAckPending: 256,
	}}
}
