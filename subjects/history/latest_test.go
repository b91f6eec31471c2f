package history_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology/bustest"
)

// More subjects than one request may name, each with an older fact.
func TestLatestOfManySubjects(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	const users = 1200
	for round := range 2 {
		for i := range users {
			if _, err := js.PublishAsync(fmt.Sprintf("evt.user.u%d", i), fmt.Append(nil, round)); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-js.PublishAsyncComplete()
	found := make(map[string]string)
	last, err := history.Latest(t.Context(), nc, "USER", "evt.user.*", func(page history.Page) error {
		for _, fact := range page.Facts {
			found[fact.Subject] += string(fact.Data)
		}
		return nil
	})
	if err != nil || last != 2*users || len(found) != users {
		t.Fatalf("%d subjects up to %d: %v", len(found), last, err)
	}
	for subject, data := range found {
		if data != "1" {
			t.Errorf("%s: %q", subject, data)
		}
	}
}

func TestLatestOfNothing(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	last, err := history.Latest(t.Context(), nc, "USER", "evt.user.*", func(history.Page) error { t.Error("a page"); return nil })
	if err != nil || last != 0 {
		t.Errorf("up to %d: %v", last, err)
	}
}
