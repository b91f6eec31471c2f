package ops

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/ops"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
	"github.com/latido/latido/subjects/topology/bustest"
)

func order(id string) subjects.Channel { return subjects.Channel{Kind: "ops", ID: id} }

func asking(id string) es.Call {
	return es.Call{
		Channel: order(id), Command: "request", From: "ana", Key: "request",
		Body: ops.Request{Zona: "centro", Precio: 12.5},
	}
}

func accepting(id, operator string) es.Call {
	return es.Call{Channel: order(id), Command: "accept", From: operator, Proof: estest.Proof(operator, "operator"), Key: "accept", Body: ops.Accept{}}
}

func TestOneOperatorWins(t *testing.T) {
	t.Parallel()
	race(t, bustest.Start(t), 40)
}

func TestOneOperatorWinsOnThreeNodes(t *testing.T) {
	t.Parallel()
	race(t, bustest.StartCluster(t), 10)
}

// runWithoutAssignment leaves accepted requests as they are.
func runWithoutAssignment(ctx context.Context, nc *nats.Conn, verifier *identity.Verifier, log *slog.Logger) error {
	return es.Run(ctx, nc, verifier, log, service(request))
}

// race lets 64 operators claim each of the requests at once, at two replicas.
func race(t *testing.T, bus *bustest.Bus, requests int) {
	t.Helper()
	const operators = 64
	estest.Replica(t, bus, runWithoutAssignment)
	estest.Replica(t, bus, runWithoutAssignment)
	caller := estest.NewCaller(t, bus)
	for n := range requests {
		id := fmt.Sprintf("request %d", n)
		caller.Do(asking(id))
		answers := make(chan error, operators)
		var group errgroup.Group
		for i := range operators {
			group.Go(func() error {
				_, err := caller.Ask(accepting(id, fmt.Sprintf("operator %d", i)))
				answers <- err
				return nil
			})
		}
		_ = group.Wait()
		close(answers)
		winners := 0
		for err := range answers {
			if err == nil {
				winners++
			} else if got := schemas.RefusalOf(err).Code; got != schemas.Taken {
				t.Errorf("%s: a loser got %v", id, err)
			}
		}
		if winners != 1 {
			t.Errorf("%s: %d winners", id, winners)
		}
		if names := caller.Names(order(id)); !slices.Equal(names, []string{"requested", "accepted"}) {
			t.Errorf("%s: stored %v", id, names)
		}
	}
	told := caller.Names(broadcast)
	if len(told) != 2*requests {
		t.Errorf("%d facts for all operators, want %d", len(told), 2*requests)
	}
}

func TestAcceptIsAnsweredAsTheFirstTime(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	estest.Replica(t, bus, runWithoutAssignment)
	estest.Replica(t, bus, runWithoutAssignment)
	caller := estest.NewCaller(t, bus)
	asked := caller.Do(asking("1"))
	accepted := caller.Do(accepting("1", "olga"))
	for range 8 {
		if again := caller.Do(asking("1")); again != asked {
			t.Errorf("asked again at %d, want %d", again, asked)
		}
		if again := caller.Do(accepting("1", "olga")); again != accepted {
			t.Errorf("accepted again at %d, want %d", again, accepted)
		}
		caller.Refused(schemas.Taken, accepting("1", "otto"))
	}
}

// Who does not want to be disturbed is known before the first command is taken.
func TestNobodyIsDisturbedFromTheStart(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	caller := estest.NewCaller(t, bus)
	bucket, err := caller.JS.KeyValue(t.Context(), subjects.BucketDoNotDisturb)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), subjects.Token("olga"), []byte(`{"role":"dnd"}`)); err != nil {
		t.Fatal(err)
	}
	estest.Replica(t, bus, Run)
	caller.Do(asking("1"))
	offer := es.Call{Channel: order("1"), Command: "offer", From: "boss", Proof: estest.Proof("boss", "supervisor"), Key: "offer", Body: ops.Offer{Operator: "olga"}}
	caller.Refused(schemas.Conflict, offer)
}
