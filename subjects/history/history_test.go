package history_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology/bustest"
)

func TestReadUpToTheWatermark(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *bustest.Bus{"one node": bustest.Start, "three nodes": bustest.StartCluster} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := start(t).Connect(t)
			js, err := jetstream.New(nc, bustest.Patient)
			if err != nil {
				t.Fatal(err)
			}
			mine, other := subjects.Channel{Kind: "room", ID: "1"}, subjects.Channel{Kind: "room", ID: "2"}
			var sequences []uint64
			for i := range 1000 {
				for _, channel := range []subjects.Channel{mine, other} {
					ack, err := js.Publish(t.Context(), channel.Event(), fmt.Appendf(nil, "%d", i))
					if err != nil {
						t.Fatal(err)
					}
					if channel == mine {
						sequences = append(sequences, ack.Sequence)
					}
				}
			}
			last, err := history.Last(t.Context(), nc, subjects.StreamRoom, mine.Event())
			if err != nil || last != sequences[999] {
				t.Fatalf("Last = %d, %v, want %d", last, err, sequences[999])
			}
			var got []uint64
			whole, err := history.Read(t.Context(), nc, subjects.StreamRoom, mine.Event(), sequences[99], last, func(p history.Page) error {
				for _, fact := range p.Facts {
					got = append(got, fact.Sequence)
				}
				return nil
			})
			if err != nil || whole != last {
				t.Fatalf("Read = %d, %v", whole, err)
			}
			if fmt.Sprint(got) != fmt.Sprint(sequences[100:]) {
				t.Errorf("read %d facts, want %d in order", len(got), 900)
			}
		})
	}
}

func TestReadEndsWhenItsFactsAreDeleted(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	channel := subjects.Channel{Kind: "room", ID: "1"}
	ack, err := js.Publish(t.Context(), channel.Event(), nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), subjects.StreamRoom)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), ack.Sequence); err != nil {
		t.Fatal(err)
	}
	whole, err := history.Read(t.Context(), nc, subjects.StreamRoom, channel.Event(), 0, ack.Sequence, func(history.Page) error {
		return errors.New("a deleted fact was read")
	})
	if err != nil || whole != ack.Sequence {
		t.Errorf("Read = %d, %v, want %d", whole, err, ack.Sequence)
	}
	if _, found, err := history.Message(t.Context(), nc, subjects.StreamRoom, ack.Sequence); err != nil || found {
		t.Errorf("Message: found %v, %v", found, err)
	}
}

func TestAbsentStream(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	if _, err := history.Describe(t.Context(), nc, "NONE"); !errors.Is(err, history.ErrStream) {
		t.Errorf("Describe: %v", err)
	}
	if _, err := history.Last(t.Context(), nc, "NONE", "evt.x"); !errors.Is(err, history.ErrStream) {
		t.Errorf("Last: %v", err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	mine, other := subjects.Channel{Kind: "room", ID: "1"}, subjects.Channel{Kind: "room", ID: "2"}
	var sequences []uint64
	for i := range 50 {
		for _, channel := range []subjects.Channel{other, mine, other} {
			ack, err := js.Publish(t.Context(), channel.Event(), fmt.Appendf(nil, "%d", i))
			if err != nil {
				t.Fatal(err)
			}
			if channel == mine {
				sequences = append(sequences, ack.Sequence)
			}
		}
	}
	for _, n := range []int{1, 2, 17, 49, 50, 51} {
		after, err := history.Tail(t.Context(), nc, subjects.StreamRoom, mine.Event(), uint64(n))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, sequence := range sequences {
			if sequence > after {
				got++
			}
		}
		if want := min(n, 50); got != want {
			t.Errorf("the last %d: %d facts follow %d", n, got, after)
		}
	}
	if after, err := history.Tail(t.Context(), nc, subjects.StreamRoom, "evt.room.none", 5); err != nil || after != 0 {
		t.Errorf("of nothing: %d, %v", after, err)
	}
}
