package history_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology/bustest"
)

// store appends to the subjects a and b of a stream in turn, in upper case with the
// check that names the predecessor. It returns when the message at was stored.
func store(t *testing.T, js jetstream.JetStream, stream jetstream.Stream, name, letters string, at uint64) (stored time.Time) {
	t.Helper()
	last := map[rune]uint64{}
	for n, letter := range letters {
		subject := letter | 0x20
		msg := nats.NewMsg(name + "." + string(subject))
		if letter != subject {
			msg.Header.Set(nats.ExpectedLastSubjSeqHdr, strconv.FormatUint(last[subject], 10))
		}
		ack, err := js.PublishMsg(t.Context(), msg)
		if err != nil {
			t.Fatalf("%s: %v", letters, err)
		}
		last[subject] = ack.Sequence
		if uint64(n+1) == at {
			message, err := stream.GetMsg(t.Context(), ack.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			stored = message.Time
		}
	}
	return stored
}

// A stream of two subjects, a and b: every row appends, takes something away, and
// judges a reader of a.
func TestJudge(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	nc := bus.Connect(t)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		name    string
		write   string // subjects in turn; in upper case with the check that names their predecessor
		limit   int64  // of messages per subject
		remove  func(jetstream.Stream) error
		at      uint64 // the reader's sequence
		proof   time.Duration
		missing history.Range
		anew    bool
	}
	purge := func(options ...jetstream.StreamPurgeOpt) func(jetstream.Stream) error {
		return func(s jetstream.Stream) error { return s.Purge(t.Context(), options...) }
	}
	erase := func(sequence uint64) func(jetstream.Stream) error {
		return func(s jetstream.Stream) error { return s.DeleteMsg(t.Context(), sequence) }
	}
	const forged = time.Hour // a proof of another message at this sequence
	for i, r := range []row{
		{name: "nothing gone", write: "aba", at: 1},
		{name: "at the end", write: "aba", at: 3},
		{name: "between the subject's facts", write: "aba", at: 2},
		{name: "before all", write: "aba", at: 0},
		{name: "the reader's fact gone, all that follow kept", write: "aaa", remove: purge(jetstream.WithPurgeSequence(2)), at: 1},
		{name: "one more gone", write: "aaa", remove: purge(jetstream.WithPurgeSequence(3)), at: 1, missing: history.Range{From: 2, To: 2}},
		{name: "all gone", write: "aaa", remove: purge(), at: 1, missing: history.Range{From: 2, To: 3}},
		{name: "all gone for who has all", write: "aaa", remove: purge(), at: 3},
		{name: "all gone for who begins", write: "aaa", remove: purge(), at: 0, missing: history.Range{From: 1, To: 3}},
		{name: "the subject gone", write: "abab", remove: purge(jetstream.WithPurgeSubject("S9.a")), at: 1, missing: history.Range{From: 2, To: 4}},
		{name: "a position between, and gone", write: "baba", remove: purge(jetstream.WithPurgeSequence(3)), at: 1, missing: history.Range{From: 2, To: 3}},
		{name: "the oldest names a predecessor that was read", write: "AbbbA", remove: purge(jetstream.WithPurgeSequence(5)), at: 1},
		{name: "the oldest names a predecessor that was not read", write: "AbAbA", remove: purge(jetstream.WithPurgeSequence(5)), at: 1, missing: history.Range{From: 2, To: 4}},
		{name: "a limit per subject took others' facts", write: "AbbbbA", limit: 2, at: 1},
		{name: "a limit per subject took the reader's own fact only", write: "AbAA", limit: 2, at: 1},
		{name: "a limit per subject took more", write: "AbAAA", limit: 2, at: 1, missing: history.Range{From: 2, To: 3}},
		{name: "the oldest names none, and nothing was removed", write: "bA", at: 1},
		{name: "the oldest names none, and all between is others'", write: "bbbba", remove: erase(2), at: 3},
		{name: "the oldest names none, and what lies between has a hole", write: "bbbba", remove: erase(2), at: 1, missing: history.Range{From: 2, To: 4}},
		{name: "none is left, and all behind is others'", write: "babb", remove: erase(2), at: 2},
		{name: "none is left, and the end is gone", write: "bbba", remove: purge(jetstream.WithPurgeSubject("S20.a")), at: 1, missing: history.Range{From: 2, To: 4}},
		{name: "ahead of the stream", write: "aba", at: 9, anew: true},
		{name: "another message is there", write: "aba", at: 1, proof: forged, anew: true},
		{name: "another message is there, between", write: "aba", at: 2, proof: forged, anew: true},
		{name: "another message is there, and what followed it is gone", write: "babaa", remove: purge(jetstream.WithPurgeSubject("S24.a"), jetstream.WithPurgeSequence(5)), at: 1, proof: forged, missing: history.Range{From: 2, To: 4}, anew: true},
	} {
		name := "S" + strconv.Itoa(i)
		stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
			Name: name, Subjects: []string{name + ".*"}, AllowDirect: true, MaxMsgsPerSubject: max(r.limit, -1),
		})
		if err != nil {
			t.Fatal(err)
		}
		at := store(t, js, stream, name, r.write, r.at)
		if !at.IsZero() {
			at = at.Add(r.proof)
		}
		if r.remove != nil {
			if err := r.remove(stream); err != nil {
				t.Fatal(err)
			}
		}
		for proof, p := range map[string]history.Position{
			"with a proof": {Sequence: r.at, At: at}, "with one in milliseconds": {Sequence: r.at, At: at.Truncate(time.Millisecond)}, "without": {Sequence: r.at},
		} {
			if r.proof != 0 && p.At.IsZero() {
				continue
			}
			got, err := history.Judge(t.Context(), history.On(nc, name), name+".a", p)
			if err != nil {
				t.Fatal(err)
			}
			var missing history.Range
			if got.Missing != nil {
				missing = *got.Missing
			}
			want := r.missing
			after := max(r.at, r.missing.To)
			if r.anew {
				want, after = history.Range{From: r.at + 1, To: max(r.at+1, r.missing.To)}, r.missing.To
			}
			if missing != want || got.Anew != r.anew || got.After != after {
				t.Errorf("%s, %s: %+v missing %+v, want missing %+v, anew %v", r.name, proof, got, missing, want, r.anew)
			}
			there, err := stream.GetMsg(t.Context(), max(got.After, 1))
			if lacks := got.Missing != nil && got.After > 0 && got.At.IsZero(); lacks || err == nil && got.After > 0 && !history.SameTime(there.Time, got.At) {
				t.Errorf("%s, %s: stands at %v, stored %v", r.name, proof, got.At, there)
			}
		}
	}
}
