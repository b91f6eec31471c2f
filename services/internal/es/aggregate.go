package es

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology"
)

const (
	// conflictsAllowed is how often a command is decided again because others
	// wrote to its channel first, before its caller is told to come back.
	conflictsAllowed = 16
	// trust is how long an unchecked fact may be decided on a remembered state
	// that nobody has confirmed meanwhile.
	trust = time.Second
)

// aggregates answers the commands of one kind of channel.
type aggregates[S any] struct {
	*bus
	decider  Decider[S]
	stream   string
	memories *memories[S]
	members  *membership // nil when nothing is projected
	unread   *unread
}

// open is how a [Decider] becomes a [Kind] of a service.
func (d Decider[S]) open(b *bus) opened {
	a := &aggregates[S]{
		bus: b, decider: d, stream: subjects.Catalog[d.Kind].Stream, memories: newMemories(d.evolve), unread: &unread{log: b.log},
	}
	commands := slices.Sorted(maps.Keys(d.Commands))
	commands = slices.AppendSeq(commands, maps.Keys(d.Queries))
	kind := opened{kind: d.Kind, commands: commands, serve: a.serve, remember: a.remember, unread: a.unread}
	for _, r := range d.reactors {
		kind.reactions = append(kind.reactions, a.reaction(r))
	}
	if d.Deadline != nil {
		kind.reactions = append(kind.reactions, a.firing())
	}
	if d.Members != nil {
		a.members = newMembership(b, a.stream, *d.Members)
		kind.reactions = append(kind.reactions, a.reacting(d.Kind+"-members", a.heal))
	}
	return kind
}

// evolve prefers the state that a fact carries: facts before it may be gone.
func (d Decider[S]) evolve(state S, f fact) S {
	var carried S
	if d.Carry && json.Unmarshal([]byte(f.state), &carried) == nil {
		return carried
	}
	return d.Evolve(state, f.Event)
}

// serve decodes a request and handles it.
func (a *aggregates[S]) serve(ctx context.Context, r request) (answer, error) {
	decode, query := a.decider.Commands[r.name], a.decider.Queries[r.name]
	if query.Answer != nil {
		decode = query.Decode
	}
	body, err := decode(r.body)
	if err != nil {
		return answer{}, fmt.Errorf("decode %s: %w", r.name, err)
	}
	r.Body = body
	var given answer
	if query.Answer != nil {
		given, err = a.answer(ctx, query, r.Command)
	} else {
		given.Seq, err = a.handle(ctx, r)
	}
	if refusal, refused := refusalFor(err); refused {
		a.log.Warn("bus", "channel", r.Channel.String(), "cause", err)
		return answer{}, refusal
	}
	return given, err
}

// errUncertain is wrapped by errors behind which the facts may be stored.
var errUncertain = errors.New("it may be stored")

// refusalFor is what a caller is told of an error of the bus that will pass.
func refusalFor(err error) (refusal schemas.Refusal, refused bool) {
	switch {
	case err == nil:
		return refusal, false
	case errors.Is(err, history.ErrStream):
		return schemas.Refuse(schemas.Unavailable, "where this is stored is missing at the moment"), true
	case topology.IsUnavailable(err) && !errors.Is(err, errUncertain):
		return schemas.Refuse(schemas.Unavailable, "where this is stored cannot be reached at the moment"), true
	case isTransient(err):
		return schemas.Refuse(schemas.Timeout, "whether it was stored is not known: ask again with the same key"), true
	}
	return refusal, false
}

// answer answers a query from a state just read.
func (a *aggregates[S]) answer(ctx context.Context, query Query[S], c Command) (answer, error) {
	known, err := a.refresh(ctx, c.Channel)
	if err != nil {
		return answer{}, err
	}
	value, err := query.Answer(ctx, known.state, c)
	if err != nil {
		return answer{}, err
	}
	data, err := json.Marshal(value)
	return answer{Seq: known.seq, Data: data}, err
}

// handle decides a request and stores what follows. It returns the sequence of
// the first fact; a repeated request gets the same answer again.
//
// A remembered state may accept, since the append checks it; that something is
// refused, or is so already, is believed only on a state just read.
func (a *aggregates[S]) handle(ctx context.Context, r request) (uint64, error) {
	known := a.memories.recall(r.Channel)
	fresh := false
	for conflicts := 0; conflicts < conflictsAllowed; {
		if known.confirmed.IsZero() {
			var err error
			if known, err = a.refresh(ctx, r.Channel); err != nil {
				return 0, err
			}
			fresh = true
		}
		if earlier, found := known.receipt(r.id); found {
			return a.again(ctx, r, earlier)
		}
		events, err := a.decider.Decide(known.state, r.Command)
		if !fresh && (err != nil || !a.appendable(known, events)) {
			known.confirmed = time.Time{}
			continue
		}
		if len(events) == 0 {
			return known.seq, err
		}
		refusal, refused := errors.AsType[schemas.Refusal](err)
		if err != nil && !refused {
			return 0, err
		}
		r.refusal = refusal
		seq, err := a.store(ctx, r, known, events)
		if err == nil && refused {
			err = refusal
		}
		if !errors.Is(err, errConflict) {
			return seq, err
		}
		conflicts++
		known, fresh = memory[S]{}, false
		_ = pause(ctx, time.Duration(conflicts)*2*time.Millisecond)
	}
	return 0, schemas.Refuse(schemas.Busy, "others keep changing the channel")
}

// appendable reports whether events decided on a memory may be stored without
// reading the channel: they are checked then, or the memory is young.
func (a *aggregates[S]) appendable(known memory[S], events []Event) bool {
	return len(events) > 0 && (!events[0].Unchecked || time.Since(known.confirmed) < trust)
}

// store appends the events, remembers and projects them.
func (a *aggregates[S]) store(ctx context.Context, r request, known memory[S], events []Event) (uint64, error) {
	messages, err := r.messages(events, known.seq)
	if err != nil {
		return 0, err
	}
	state, facts, err := a.carry(r, known, events, messages)
	if err != nil {
		return 0, err
	}
	scheduled := a.schedule(r, known.state, state, messages)
	stored, err := a.append(ctx, scheduled)
	if err != nil {
		return 0, err
	}
	if stored.duplicate {
		return a.repeated(ctx, r, stored.first)
	}
	for i := range facts {
		facts[i].seq += stored.first
	}
	if !events[0].Unchecked { // the feed will tell what an unchecked fact follows
		a.memories.learn(r.Channel, known.seq, facts, time.Now())
	}
	if err := a.project(ctx, r.Channel, state, facts[len(facts)-1].seq, facts...); err != nil {
		return 0, fmt.Errorf("%w: %w", errUncertain, err)
	}
	return stored.first, nil
}

// carry returns the state after the events, and those on the request's own
// channel as facts with their sequence relative to the first. Where the kind
// asks for it, each message gets the state after it.
func (a *aggregates[S]) carry(r request, known memory[S], events []Event, messages []*nats.Msg) (S, []fact, error) {
	state := known.state
	var facts []fact
	for i, event := range events {
		if event.Channel != (subjects.Channel{}) {
			continue
		}
		event.Channel, event.Key = r.Channel, r.Key
		state = a.decider.Evolve(state, event)
		f := fact{Event: event, seq: uint64(i), id: messages[i].Header.Get(jetstream.MsgIDHeader), digest: r.digest, refusal: r.refusal}
		if a.decider.Carry {
			carried, err := json.Marshal(state)
			if err != nil {
				return state, nil, fmt.Errorf("carry state: %w", err)
			}
			messages[i].Header.Set(headerState, string(carried))
		}
		facts = append(facts, f)
	}
	return state, facts, nil
}

// repeated answers a request whose fact was stored before, at seq.
func (a *aggregates[S]) repeated(ctx context.Context, r request, seq uint64) (uint64, error) {
	f, err := a.stored(ctx, a.stream, r.Channel, seq)
	if err != nil {
		return 0, err
	}
	return a.again(ctx, r, receipt{f.id, f.digest, f.seq, f.refusal})
}

// again answers a request as the first time. Whoever stored its fact may have
// died since, or be slow: what the answer promises is projected here, too.
func (a *aggregates[S]) again(ctx context.Context, r request, earlier receipt) (uint64, error) {
	seq, err := earlier.answer(r)
	if err != nil || a.members == nil {
		return seq, err
	}
	_, err = history.Read(ctx, a.nc, a.stream, r.Channel.Event(), seq-1, seq, func(page history.Page) error {
		first := page.Facts[0]
		if first.Sequence != seq {
			return nil // retention has taken it
		}
		return a.heal(ctx, a.read(r.Channel, seq, first.Header, first.Data))
	})
	return seq, err
}

func (earlier receipt) answer(r request) (uint64, error) {
	if earlier.digest != r.digest {
		return 0, schemas.Refuse(schemas.KeyReused, "the key belongs to an earlier, different command")
	}
	if earlier.refusal.Code != 0 {
		return earlier.seq, earlier.refusal
	}
	return earlier.seq, nil
}
