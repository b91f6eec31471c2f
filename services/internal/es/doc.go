// Package es is the event-sourcing shell of the services: it carries commands
// from the bus to a pure [Decider], and what that decides to a JetStream stream.
//
// A channel is an aggregate, its subject evt.<kind>.<id> its history. A command
// is decided on the state folded from that history and the facts are appended
// on the condition that the history is still the same, so that any number of
// replicas decide as one. What the shell sees to:
//
//   - A command is answered once it is stored, and its repetition as it was the
//     first time: by the receipts in memory, the stream's duplicate window, or,
//     when an answer was lost, by reading what the stream has.
//   - A state that is remembered may accept; a refusal is believed only on a
//     state just read.
//   - Several facts are appended all or none; facts that commute are appended
//     without a check ([Event].Unchecked) and never contend.
//   - While the stream has no leader, appends are tried again under the same
//     message id. Who waited in vain is told 4502, and may ask again.
//   - Commands of a channel run in order within a process, of others side by
//     side; what does not fit in the bounded queues is told 4506.
//   - A fact's consequences ([Reactor], [Members]) happen even when the process
//     that stored it has died since.
//
// # A new service
//
// `task new:service NAME=poll` lays out one that opens and closes channels, and works.
// Then it is yours, in this order:
//
//  1. The schemas of its commands and facts, and its kind in the catalog in subjects:
//     who reads it, and whose commands its events stand for.
//  2. decide_test.go: rows for estest, which say in plain words what it promises.
//  3. decide.go: a state, decide and evolve, and a [Decider] that lists their bodies.
//  4. service_test.go: two replicas on a real bus (estest.Replica, estest.Caller).
//  5. Where its stream forgets, subjects/topology; where it reads or commands what is
//     not its own, deploy/stack/parts.go. `go generate ./...` does the rest.
//
// Only packages below services import es; it imports schemas and subjects.
package es
