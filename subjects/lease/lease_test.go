package lease_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/lease"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// hold runs a node's leases until the test ends.
func hold(t *testing.T, bus *bustest.Bus, cfg lease.Config) *lease.Leases {
	t.Helper()
	cfg.Feed, cfg.Ask = bus.Connect(t), bus.Connect(t)
	leases := lease.New(cfg)
	ctx, end := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- leases.Run(ctx, func() { close(begun) }) }()
	<-begun
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return leases
}

func TestNodesHearEachOther(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	changes := make(chan lease.Change, 8)
	one := hold(t, bus, lease.Config{Node: "one", Changed: func(node string, c lease.Change) {
		if node == "two.example" {
			changes <- c
		}
	}})
	two := hold(t, bus, lease.Config{Node: "two.example"})
	if c := <-changes; c != lease.Here {
		t.Fatalf("change %v", c)
	}
	// Whoever comes knows at once who is there already.
	if !one.Here("two.example") || !two.Here("one") || one.Here("three") || !one.Here("service:presence") {
		t.Error("who is there is not known")
	}
	if age := one.Since(one.Now().Add(-time.Minute)); (age - time.Minute).Abs() > 30*time.Second {
		t.Errorf("a minute by the server's clock is %v", age)
	}
	if err := two.Return(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := <-changes; c != lease.Parted {
		t.Errorf("change %v, want that it parted", c)
	}
}

// A bus that is away is told, and nobody is gone for it.
func TestABusThatIsAway(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	stored := make(chan error, 8)
	lost := make(chan string, 8)
	one := hold(t, bus, lease.Config{
		Node: "one", Stored: func(err error) { stored <- err },
		Changed: func(node string, c lease.Change) {
			if c != lease.Here {
				lost <- node
			}
		},
	})
	hold(t, bus, lease.Config{Node: "two"})
	bus.Kill(0)
	if err := <-stored; err == nil {
		t.Error("told that it is stored again")
	}
	before := time.Now()
	bus.Restart(t, 0)
	if err := <-stored; err != nil {
		t.Errorf("told %v", err)
	}
	if !one.Here("two") || one.Over(before) || len(lost) > 0 {
		t.Error("somebody is gone, or was waited for in vain")
	}
}

// Two processes of one name would end each other's sessions: the second is told.
func TestANameIsTakenOnce(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	hold(t, bus, lease.Config{Node: "one"})
	second := lease.New(lease.Config{Node: "one", Feed: bus.Connect(t), Ask: bus.Connect(t)})
	if err := second.Run(t.Context(), func() { t.Error("it began") }); !errors.Is(err, lease.ErrTaken) {
		t.Errorf("%v, want that the name is taken", err)
	}
}

// What a process left is settled before a lease of ours keeps it, by whoever comes
// after it.
func TestALeaseIsInherited(t *testing.T) {
	t.Parallel()
	bus := bustest.Start(t)
	js, err := jetstream.New(bus.Connect(t), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(t.Context(), subjects.BucketNodes)
	if err != nil {
		t.Fatal(err)
	}
	inherit := func(node string) (rest time.Duration, revision uint64) {
		hold(t, bus, lease.Config{Node: node, Inherit: func(ctx context.Context, until time.Time) error {
			rest = time.Until(until)
			if entry, err := bucket.Get(ctx, node); err == nil {
				revision = entry.Revision()
			}
			return nil
		}})
		return rest, revision
	}
	if rest, revision := inherit("new"); rest > 0 || revision > 0 {
		t.Errorf("%v and revision %d of a lease that nobody held", rest, revision)
	}
	left, err := bucket.Put(t.Context(), "old", []byte(`{"node":"old"}`))
	if err != nil {
		t.Fatal(err)
	}
	if rest, revision := inherit("old"); rest <= 0 || rest >= topology.LeaseTTL || revision != left {
		t.Errorf("%v and revision %d of a lease of revision %d", rest, revision, left)
	}
}
