package dnd_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/services/internal/dnd"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// More are on the list than a page holds; then one is not any more, and another is.
func TestListFollowsTheBucket(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), subjects.BucketDoNotDisturb)
	if err != nil {
		t.Fatal(err)
	}
	change := func(user, role string) {
		t.Helper()
		_, err := bucket.Put(t.Context(), subjects.Token(user), fmt.Appendf(nil, `{"role":%q}`, role))
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		change(fmt.Sprint(i), "dnd")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	list, err := dnd.Follow(ctx, nc, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer list.Stop()
	await := func(want ...string) {
		t.Helper()
		for {
			got := slices.DeleteFunc([]string{"0", "299", "ana"}, func(user string) bool { return !list.Has(user) })
			if slices.Equal(got, want) {
				return
			}
			if err := nc.FlushWithContext(ctx); err != nil {
				t.Fatalf("%v instead of %v: %v", got, want, err)
			}
		}
	}
	await("0", "299")
	change("0", "")
	change("ana", "dnd")
	await("299", "ana")
}
