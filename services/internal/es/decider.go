package es

import (
	"context"
	"slices"
	"time"

	"github.com/latido/latido/subjects"
)

// Meta surrounds a command: who asks, of which channel, and when. It is the
// only clock, and the only source of ids, that a decider has.
type Meta struct {
	Channel subjects.Channel
	From    string // the user, or "service:<name>"
	Role    string
	Name    string // the user's display name
	Key     string // the caller's idempotency key
	Now     time.Time
}

// Command is a request to a decider. Body is what its [Decoder] made of it.
type Command struct {
	Meta
	Body any
}

// Event is a fact: decided now, or stored long ago.
type Event struct {
	// Channel is where the event happened. A decider leaves it empty for the
	// command's own channel; another one must belong to the same stream, and
	// must not come first.
	Channel subjects.Channel
	Name    string
	// Data is nil for a stored event whose name this version does not know, and for
	// one whose body cannot be read.
	Data any
	// Unchecked events are stored whatever was stored meanwhile, so that they
	// never contend: the stream alone orders them. They may have been decided
	// on a state that is up to a second old.
	Unchecked bool
	// Key is the idempotency key of the command behind a stored event.
	Key string
}

// Decider is all that a service knows about one kind of channel. The zero S is
// the state of a channel on which nothing has happened.
type Decider[S any] struct {
	Kind     string
	Commands map[string]Decoder
	Facts    map[string]Decoder
	// Decide answers a command with what happens because of it, or with a
	// [schemas.Refusal], or with both where a refusal is worth remembering: then
	// the events are stored, and whoever asked is refused. No events and no error mean that it is so already. It
	// is pure and must not change the state.
	Decide func(S, Command) ([]Event, error)
	// Evolve returns the state after the event. It is pure, never refuses and
	// ignores what it does not know; the state it was given stays as it was.
	Evolve func(S, Event) S
	// Carry stores the state, as JSON, in a header of each fact, so that it
	// outlives facts which the stream's limits remove. It is for small states
	// without unchecked events.
	Carry bool
	// Queries answer without changing anything.
	Queries map[string]Query[S]
	// Deadline, when set, is when after now the channel has to be looked at
	// again; zero is never. Then it is sent the command "due", of role service,
	// however many processes were down at that moment; it is judged like any
	// other. The stream keeps one message schedule per channel.
	Deadline func(state S, now time.Time) time.Time
	// Members, when set, is projected to a bucket.
	Members *Members[S]

	reactors []Reactor[S]
}

// Query answers a question about a channel, from its state as the stream's leader
// has it.
type Query[S any] struct {
	Decode Decoder
	// Answer returns what is sent as JSON, or a [schemas.Refusal].
	Answer func(context.Context, S, Command) (any, error)
}

// With returns the decider with reactors to its facts.
func (d Decider[S]) With(reactors ...Reactor[S]) Decider[S] {
	d.reactors = slices.Concat(d.reactors, reactors)
	return d
}

// Members tells who belongs to a channel.
type Members[S any] struct {
	// Bucket and Key say where it is written: the bucket "members", under the
	// channel's key for the user, unless given.
	Bucket string
	Key    func(channel subjects.Channel, user string) string
	// Changed lists the users whose membership the event may have changed; ""
	// stands for everyone. An event that by the catalog says who all the members are
	// changes that of whoever else the bucket names, too.
	Changed func(Event) []string
	// Role is the user's role in the channel, "" for none.
	Role func(state S, user string) string
}

// Reactor does something because of facts, once they are stored: what must
// happen even when the process that stored the fact has died since.
type Reactor[S any] struct {
	// Name is that of the durable consumer, which topology declares and all replicas
	// share.
	Name string
	// On are the events that React wants, by their bodies.
	On []EventBody
	// React is called at least once for each fact, from the first ever stored
	// on, with a state that is at least as new. The facts come in the stream's
	// order, but for those that failed: they come again, later and later.
	React func(ctx context.Context, event Event, state S) error
}
