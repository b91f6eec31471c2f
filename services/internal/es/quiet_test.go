package es

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// More are quiet than a page holds; then one is not any more, and another is.
func TestQuietFollowsTheBucket(t *testing.T) {
	t.Parallel()
	nc := bustest.Start(t).Connect(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), subjects.BucketQuiet)
	if err != nil {
		t.Fatal(err)
	}
	change := func(user string, quiet bool) {
		t.Helper()
		role := ""
		if quiet {
			role = "dnd"
		}
		_, err := bucket.Put(t.Context(), subjects.Token(user), fmt.Appendf(nil, `{"role":%q}`, role))
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		change(fmt.Sprint(i), true)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var quiet Quiet
	var running sync.WaitGroup
	if err := quiet.start(ctx, &running, nc, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	await := func(want ...string) {
		t.Helper()
		for !slices.Equal(quiet.Among([]string{"0", "299", "ana"}), want) {
			if err := nc.FlushWithContext(ctx); err != nil {
				t.Fatalf("%v instead of %v: %v", quiet.Among([]string{"0", "299", "ana"}), want, err)
			}
		}
	}
	await("0", "299")
	change("0", false)
	change("ana", true)
	await("299", "ana")
	cancel()
	running.Wait()
}
