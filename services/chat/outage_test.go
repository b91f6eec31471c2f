package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// insist asks until it is told, with the same key, as the SDK does.
func insist(ctx context.Context, caller estest.Caller, call es.Call) (uint64, error) {
	for {
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		seq, err := call.Do(asking, caller.Conn)
		cancel()
		refusal, refused := errors.AsType[schemas.Refusal](err)
		if err == nil || refused && !refusal.Code.Retry() || ctx.Err() != nil {
			return seq, err
		}
	}
}

// postAlong posts as ana and luis; after half of the posts it calls halfway.
// Every post must be stored once.
func postAlong(t *testing.T, caller estest.Caller, posts int, halfway func()) {
	t.Helper()
	if _, err := insist(t.Context(), caller, opening("luis")); err != nil {
		t.Fatal(err)
	}
	reached := make(chan struct{})
	var group errgroup.Group
	for _, user := range []string{"ana", "luis"} {
		group.Go(func() error {
			for i := range posts {
				if user == "ana" && i == posts/2 {
					close(reached)
				}
				post := call(user, "post", fmt.Sprint(i), chat.Post{Text: fmt.Sprintf("%s %04d", user, i)})
				if _, err := insist(t.Context(), caller, post); err != nil {
					return fmt.Errorf("post %d of %s: %w", i, user, err)
				}
			}
			return nil
		})
	}
	<-reached
	halfway()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, fact := range caller.Facts(channel)[1:] {
		texts = append(texts, string(fact.Data))
	}
	slices.Sort(texts)
	if got := len(slices.Compact(slices.Clone(texts))); got != 2*posts || len(texts) != got {
		t.Errorf("%d messages, %d of them different; want %d", len(texts), got, 2*posts)
	}
}

func TestPostsSurviveTheStreamsLeader(t *testing.T) {
	t.Parallel()
	bus := bustest.StartCluster(t)
	estest.Replica(t, bus, Run)
	estest.Replica(t, bus, Run)
	postAlong(t, estest.NewCaller(t, bus), 200, func() { bus.Kill(bus.AwaitLeader(t, subjects.StreamRoom)) })
}

func TestPostsSurviveAReplicaThatStops(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	stop := estest.Replica(t, bus, Run)
	estest.Replica(t, bus, Run)
	postAlong(t, estest.NewCaller(t, bus), 200, stop)
}

// A retry may overtake the command it repeats, at another replica.
func TestRetriesAtOnceAreOneCommand(t *testing.T) {
	t.Parallel()
	caller := start(t)
	for _, command := range []es.Call{opening("luis"), call("luis", "post", "k", chat.Post{Text: "hola"}), call("ana", "invite", "k", chat.Invite{User: "eve"})} {
		answers := make(chan uint64, 16)
		var group errgroup.Group
		for range cap(answers) {
			group.Go(func() error {
				seq, err := caller.Ask(command)
				answers <- seq
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		close(answers)
		first := <-answers
		for seq := range answers {
			if seq != first {
				t.Errorf("%s: answered %d and %d", command.Command, first, seq)
			}
		}
	}
	if names := caller.Names(channel); !slices.Equal(names, []string{"room_opened", "new_message", "member_joined"}) {
		t.Errorf("stored %v", names)
	}
}
