package topology

import (
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
	return []Consumer{
		reactor(subjects.StreamRoom, "room-members", "evt.room.*", "keeps who belongs to a room"),
		reactor(subjects.StreamTracking, "tracking-members", "evt.tracking.*", "keeps who may follow a track"),
		reactor(subjects.StreamOps, "ops-members", "evt.ops.*", "keeps who belongs to a request"),
		reactor(subjects.StreamOps, "ops-assignment", "evt.ops.*", "opens the room and the track of an accepted request"),
		reactor(subjects.StreamUser, "user-members", "evt.user.*", "keeps who does not want to be disturbed"),
		reactor(subjects.StreamUser, "user-due", "fired.user.*.*", "judges users at their deadlines"),
		reactor(subjects.StreamGroup, "group-members", "evt.group.*", "keeps who belongs to a group"),
	}
}

func reactor(stream, name, filter, does string) Consumer {
	return Consumer{stream, jetstream.ConsumerConfig{
		Durable: name, Description: does, FilterSubject: filter, Metadata: metadata(),
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ReactionTime, MaxAckPending: 256,
	}}
}
