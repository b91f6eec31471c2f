package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects/history"
)

// message is one of the stream's, in the past in which it was stored.
type message struct {
	seq     uint64
	at      time.Time
	subject string
	number  int      // no other message ever has it
	checked uint64   // the version that it was appended with, or 0
	before  *message // of the same subject, kept or not
}

// bus is the model of a stream and of what its server says of it.
type bus struct {
	made     int // how often the stream was created
	renewals int
	byNumber []*message          // all that ever were
	stored   []*message          // by sequence, from 1; of the stream's present past
	removed  map[*message]bool   // what is not kept any more
	saved    []*message          // what was stored when the store was copied
	without  map[*message]bool   // and removed by then
	clock    func() time.Time    // the server's
	last     map[string]*message // newest of each subject, kept or not
	lag      int                 // so many of the newest are not with the replica that answers pages
	end      time.Time           // when the last was stored
}

func newBus(clock func() time.Time) *bus {
	b := &bus{clock: clock}
	b.create()
	return b
}

// create makes the stream anew.
func (b *bus) create() {
	b.made++
	b.renewals, b.stored, b.saved = 0, nil, nil
	b.removed, b.last, b.end = map[*message]bool{}, map[string]*message{}, time.Time{}
}

// store appends a message, and says which of its subject the server names as the one
// before it.
func (b *bus) store(subject string, checked bool) (m *message, previous uint64) {
	m = &message{seq: uint64(len(b.stored)) + 1, at: b.clock(), subject: subject, number: len(b.byNumber), before: b.last[subject]}
	if newest := b.newest(subject); newest != nil {
		previous = newest.seq
	}
	if checked {
		m.checked = previous
	}
	b.byNumber = append(b.byNumber, m)
	b.stored, b.last[subject], b.end = append(b.stored, m), m, m.at
	return m, previous
}

// newest is the newest message of a subject that is kept, or nil.
func (b *bus) newest(subject string) *message {
	for m := b.last[subject]; m != nil; m = m.before {
		if !b.removed[m] {
			return m
		}
	}
	return nil
}

// remove has the messages go that say so.
func (b *bus) remove(gone func(*message) bool) {
	for _, m := range b.stored {
		if gone(m) {
			b.removed[m] = true
		}
	}
}

// save copies the store.
func (b *bus) save() { b.saved, b.without = slices.Clone(b.stored), maps.Clone(b.removed) }

// rollBack gives the stream the past that was saved.
func (b *bus) rollBack() {
	b.stored, b.last, b.end = slices.Clone(b.saved), map[string]*message{}, time.Time{}
	b.removed = maps.Clone(b.without)
	for _, m := range b.stored {
		b.last[m.subject], b.end = m, m.at
	}
}

func (b *bus) epoch() string { return fmt.Sprintf("made%d.%d", b.made, b.renewals) }

// page is what a replica that lags answers: facts of a subject after a sequence.
func (b *bus) page(subject string, after uint64) (facts []*message, pending uint64) {
	for _, m := range b.stored[:max(0, len(b.stored)-b.lag)] {
		switch {
		case m.seq <= after || m.subject != subject || b.removed[m]:
		case len(facts) == pageFacts:
			pending++
		default:
			facts = append(facts, m)
		}
	}
	return facts, pending
}

// pageFacts is fewer than a server answers, so that short histories have several pages.
const pageFacts = 16

// Describe, Message, Next, Newest and Page make it a [history.Leader].
func (b *bus) Describe(context.Context) (history.Stream, error) {
	s := history.Stream{Epoch: b.epoch(), First: uint64(len(b.stored)) + 1, Last: uint64(len(b.stored)), LastAt: b.end, Now: b.clock()}
	for _, m := range b.stored {
		switch {
		case !b.removed[m]:
			s.First = min(s.First, m.seq)
		case s.First < m.seq:
			s.Deleted++
		}
	}
	return s, nil
}

func (b *bus) Message(_ context.Context, sequence uint64) (history.Fact, bool, error) {
	if sequence == 0 || sequence > uint64(len(b.stored)) || b.removed[b.stored[sequence-1]] {
		return history.Fact{}, false, nil
	}
	return b.stored[sequence-1].fact(), true, nil
}

func (b *bus) Next(_ context.Context, subject string, after uint64) (history.Fact, bool, error) {
	for _, m := range b.stored[min(after, uint64(len(b.stored))):] {
		if m.subject == subject && !b.removed[m] {
			return m.fact(), true, nil
		}
	}
	return history.Fact{}, false, nil
}

func (b *bus) Newest(_ context.Context, subject string) (history.Position, error) {
	if m := b.newest(subject); m != nil {
		return history.Position{Sequence: m.seq, At: m.at}, nil
	}
	return history.Position{}, nil
}

// Page is answered by the leader here: whoever judges would wait for a replica.
func (b *bus) Page(_ context.Context, after uint64) (p history.Page, err error) {
	for _, m := range b.stored[min(after, uint64(len(b.stored))):] {
		if !b.removed[m] {
			p.Facts = append(p.Facts, m.fact())
		}
	}
	return p, nil
}

func (m *message) fact() history.Fact {
	fact := history.Fact{Subject: m.subject, Sequence: m.seq, Time: m.at, Header: nats.Header{}, Data: strconv.AppendInt(nil, int64(m.number), 10)}
	if m.checked > 0 {
		fact.Header.Set(nats.ExpectedLastSubjSeqHdr, strconv.FormatUint(m.checked, 10))
	}
	return fact
}
