package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/e2e"
)

// patience is how long a test waits for what must become true. It is not how
// long that should take: the table tells how long it took.
const patience = 90 * time.Second

// stage is a running system and its peers.
type stage struct {
	t       *testing.T
	ctx     context.Context // ends when the peers must go
	bus     *bustest.Bus
	nc      *nats.Conn
	bucket  jetstream.KeyValue
	program string
	secret  string
	peers   sync.WaitGroup
}

// newStage runs a NATS server and the presence service.
func newStage(t *testing.T) *stage {
	t.Helper()
	return newStageOn(t, bustest.Start(t))
}

// newStageOn runs the presence service on a bus.
func newStageOn(t *testing.T, bus *bustest.Bus) *stage {
	t.Helper()
	s := &stage{t: t, bus: bus, program: build(t), secret: string(bytes.Repeat([]byte("faults "), 8))}
	s.nc = s.bus.Connect(t)
	s.bucket = s.open(subjects.BucketPresence)
	s.process("presence", "presence", s.bus.URL())
	ctx, end := context.WithTimeoutCause(t.Context(), patience+*duration, errors.New("the truth was waited for in vain"))
	s.ctx = ctx
	t.Cleanup(func() { end(); s.peers.Wait() })
	return s
}

func (s *stage) open(bucket string) jetstream.KeyValue {
	s.t.Helper()
	js, err := jetstream.New(s.nc)
	if err != nil {
		s.t.Fatal(err)
	}
	opened, err := js.KeyValue(s.t.Context(), bucket)
	if err != nil {
		s.t.Fatal(err)
	}
	return opened
}

// process runs a part of the system as a process of its own.
func (s *stage) process(part, node, bus string, arguments ...string) *process {
	s.t.Helper()
	return run(s.t, s.program, node, nil, append([]string{part, "--nats-url", bus, "--jwt-secret", s.secret}, arguments...)...)
}

// bridge runs a bridge as a process of its own.
func (s *stage) bridge(node string, arguments ...string) *process {
	s.t.Helper()
	return s.process("bridge", node, s.bus.URL(), arguments...)
}

// cable lays a cable that ends with the test.
func (s *stage) cable(target string) *Cable {
	s.t.Helper()
	cable, err := LayCable(target)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cable.Remove)
	return cable
}

// peer runs a peer until the test ends, or leave is called.
func (s *stage) peer(user, address, device string) (p *Peer, leave func()) {
	s.t.Helper()
	p = NewPeer(PeerConfig{User: user, Device: device, Address: address, Secret: []byte(s.secret)})
	ctx, end := context.WithCancel(s.ctx)
	done := make(chan struct{})
	s.peers.Go(func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	s.must(p.Back(s.ctx, 1))
	return p, func() { end(); <-done }
}

// observer runs a peer that only looks.
func (s *stage) observer(name, address string, channels ...string) *Peer {
	s.t.Helper()
	p, _ := s.peer("observer "+name, address, "")
	s.must(p.Watch(s.ctx, channels...))
	return p
}

// crowd runs peers that are each shown on all channels.
func (s *stage) crowd(name string, count int, address string, channels []string) []*Peer {
	s.t.Helper()
	peers := make([]*Peer, count)
	var showing sync.WaitGroup
	for i := range peers {
		peers[i], _ = s.peer(fmt.Sprintf("%s %d", name, i), address, "")
		showing.Go(func() { s.check(peers[i].Show(s.ctx, channels...)) })
	}
	showing.Wait()
	return peers
}

// must ends the test on an error; check, for other goroutines, only reports it.
func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) check(err error) bool {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
	return err == nil
}

// truth blocks until all observers' lists are exactly the wanted seats, and says
// how long after a moment the last one was.
func (s *stage) truth(since time.Time, wanted []Seat, observers ...*Peer) time.Duration {
	s.t.Helper()
	var latest time.Time
	for _, observer := range observers {
		at, err := observer.Ledger.Await(s.ctx, wanted)
		if err != nil {
			s.t.Fatalf("%s: %v", observer.cfg.User, err)
		}
		latest = later(latest, at)
	}
	return latest.Sub(since)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// stored blocks until the buckets hold exactly the wanted seats of app channels.
func (s *stage) stored(since time.Time, wanted []Seat) time.Duration {
	s.t.Helper()
	wanted = slices.SortedFunc(slices.Values(wanted), Seat.compare)
	for {
		held, err := s.held()
		if err == nil && slices.Equal(held, wanted) {
			return time.Since(since)
		}
		if wait(s.ctx, 10*pause); s.ctx.Err() != nil {
			s.t.Fatalf("bucket: %v: %s", err, difference(held, wanted))
		}
	}
}

// held reads the buckets.
func (s *stage) held() ([]Seat, error) {
	names, err := e2e.Seated(s.ctx, s.nc, "*.app.>")
	if err != nil {
		return nil, err
	}
	var seats []Seat
	for _, name := range names {
		channel, user, ref, err := subjects.ParseSeat(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		seats = append(seats, Seat{channel.String(), user, ref})
	}
	slices.SortFunc(seats, Seat.compare)
	return seats, nil
}

// judge holds what an observer was told since its ledger's last page against
// what happened, and returns how many seats were told of wrongly.
func (s *stage) judge(observer *Peer, owed Owed) int {
	s.t.Helper()
	return s.judgeEdges(observer, observer.Ledger.Edges(), owed)
}

func (s *stage) judgeEdges(observer *Peer, edges []Edge, owed Owed) int {
	s.t.Helper()
	wrong := Judge(edges, owed)
	if len(wrong) > 0 {
		s.t.Errorf("%s: %d seats were told of wrongly, as\n%s", observer.cfg.User, len(wrong), strings.Join(wrong[:min(5, len(wrong))], "\n"))
	}
	return len(wrong)
}

// turn begins a new page in every observer's ledger.
func turn(observers ...*Peer) {
	for _, observer := range observers {
		observer.Ledger.Turn()
	}
}

// seats are where some peers mean to be seen.
func seats(crowds ...[]*Peer) []Seat {
	var all []Seat
	for _, peer := range slices.Concat(crowds...) {
		all = append(all, peer.Seats()...)
	}
	return all
}

// rooms names some channels.
func rooms(count int) []string {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("app:room-%d", i)
	}
	return names
}
