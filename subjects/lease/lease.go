// Package lease says which nodes are there: it answers "has it died, or can I not
// hear it?".
//
// A node renews its lease, a key of the bucket "nodes", every few seconds, and
// hears all renewals, its own too, from the bucket's feed, in the order in which
// they were stored. So its own renewals are its clock: when one comes back, all
// that others stored before it has come, too. A node is gone when it was not heard
// for the length of a lease while our own renewals came back all the time. When
// they do not, because the bus is away, elects a leader, has a full disk or lost
// its quorum, or because we were suspended, the clock stands still: nobody is
// gone, and afterwards everybody is given the length of a lease to be heard again.
//
// Nothing is concluded of others from what the bucket lacks, nor from the clock of any
// machine. It imports subjects, subjects/topology, subjects/history and nats.go.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology"
)

const (
	stream = "KV_" + subjects.BucketNodes
	keys   = "$KV." + subjects.BucketNodes + "."

	// refresh is how often a lease is renewed: three times within its length.
	refresh = 3 * time.Second
	// attempt bounds one renewal: one that was not stored is repeated at once, so
	// that a node is heard soon after an outage.
	attempt = time.Second
	// patience is how long our own renewals may stay away before we say that the bus
	// cannot store them: others need twice as long to conclude anything.
	patience = refresh + 2*attempt
)

// ErrNotBack is why a lease lapses when the bus said nothing.
var ErrNotBack = errors.New("the bus does not answer")

// ErrTaken is returned by Run when another process holds the lease of this node.
var ErrTaken = errors.New("another process goes by this name")

// Config is what a node's leases need. All is needed but for Inherit, Changed and
// Stored.
type Config struct {
	Node string     // whose lease is held
	Feed *nats.Conn // on which renewals are heard
	Ask  *nats.Conn // on which they are sent
	// Doubt has nodes that nobody has heard of count as there until we have listened
	// for the length of a lease, instead of until they are heard.
	Doubt bool
	// Shared lets several processes hold the lease, as the replicas of a service do.
	// Otherwise Run listens for a moment, when it finds one, whether somebody renews it.
	Shared bool
	// Inherit is called before our lease is first stored, once nobody else was heard to
	// hold it: what the process before us left would be kept by it. It is told until
	// when the lease of that one keeps it; the zero time where there is none. Run fails
	// as it does.
	Inherit func(ctx context.Context, until time.Time) error
	// Changed is told that a node is gone, or that one is there again or for the
	// first time. It must not block.
	Changed func(node string, change Change)
	// Stored is told the reason when our renewals are not stored any longer, and nil
	// when they are again, from when Run has begun. It must not block.
	Stored func(error)
}

// Leases are those of all nodes, as one of them knows them.
type Leases struct {
	cfg  Config
	id   string        // tells our renewals from those of others with our name
	back chan struct{} // holds one when the last renewal has come back
	twin chan struct{} // holds one when another process has renewed our lease

	mu     sync.Mutex
	book   book
	count  uint64 // renewals sent
	lapsed bool   // as Stored was told
	parted bool   // given back
}

// renewal is the value of a lease.
type renewal struct {
	Node  string `json:"node"`
	ID    string `json:"id"`
	Count uint64 `json:"count"`
}

// New returns leases that know nothing before Begin.
func New(cfg Config) *Leases {
	if cfg.Inherit == nil {
		cfg.Inherit = func(context.Context, time.Time) error { return nil }
	}
	if cfg.Changed == nil {
		cfg.Changed = func(string, Change) {}
	}
	if cfg.Stored == nil {
		cfg.Stored = func(error) {}
	}
	return &Leases{cfg: cfg, id: rand.Text(), back: make(chan struct{}, 1), twin: make(chan struct{}, 1), book: newBook(cfg.Node, cfg.Doubt)}
}

// Run holds the node's lease until ctx ends. It calls began once the lease is
// stored, has come back, and those of others were read.
func (l *Leases) Run(ctx context.Context, began func()) error {
	heard, err := l.cfg.Feed.Subscribe(subjects.FeedNodes+"*", l.hear)
	if err != nil {
		return fmt.Errorf("hear leases: %w", err)
	}
	defer func() { _ = heard.Unsubscribe() }() // gone already with the connection
	until, err := l.alone(ctx)
	if err == nil {
		err = l.cfg.Inherit(ctx, until)
	}
	if err != nil {
		return err
	}
	begun := false
	for ctx.Err() == nil && !l.hasParted() {
		err := l.renew(ctx)
		if err == nil && !begun {
			if err = l.read(ctx); err == nil {
				begun = true
				began()
			}
		}
		if begun {
			l.judge(ctx, err)
		}
		l.rest(ctx, err)
	}
	return nil
}

// alone waits, where somebody of our name has left a lease, until that would have
// been renewed: by a process that died it is not. It returns when that lease runs
// out.
func (l *Leases) alone(ctx context.Context) (until time.Time, err error) {
	if l.cfg.Shared {
		return time.Time{}, nil
	}
	until, returned, err := l.left(ctx)
	for err != nil && ctx.Err() == nil {
		pause(ctx, attempt) // nothing can be stored either
		until, returned, err = l.left(ctx)
	}
	if err != nil || until.IsZero() || returned {
		return until, err
	}
	timer := time.NewTimer(refresh + attempt)
	defer timer.Stop()
	select {
	case <-l.twin:
		return until, fmt.Errorf("node %q: %w", l.cfg.Node, ErrTaken)
	case <-timer.C:
	case <-ctx.Done():
	}
	return until, nil
}

// left looks at the lease that is held in our name: until when it keeps what is the
// node's, by our clock, and whether it was given back. The zero time is none.
func (l *Leases) left(ctx context.Context) (until time.Time, returned bool, err error) {
	last, found, err := history.LastMessage(ctx, l.cfg.Ask, stream, keys+subjects.Token(l.cfg.Node))
	if err != nil || !found {
		return time.Time{}, false, err
	}
	bucket, err := history.Describe(ctx, l.cfg.Ask, stream)
	age := bucket.Now.Sub(last.Time)
	return time.Now().Add(topology.LeaseTTL - age), last.Header.Get("KV-Operation") != "", err
}

// renew stores the lease once more and waits until it has come back.
func (l *Leases) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, attempt, ErrNotBack)
	defer cancel()
	l.mu.Lock()
	l.count++
	value, err := json.Marshal(renewal{Node: l.cfg.Node, ID: l.id, Count: l.count})
	l.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-l.back: // of one before, late
	default:
	}
	reply, err := l.cfg.Ask.RequestWithContext(ctx, keys+subjects.Token(l.cfg.Node), value)
	if err == nil {
		err = refused(reply.Data)
	}
	if err != nil {
		<-ctx.Done() // the next attempt is not sooner
		return causeOf(ctx, err)
	}
	select {
	case <-l.back:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// causeOf is what an answer said, or else why there was none.
func causeOf(ctx context.Context, err error) error {
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) {
		return err
	}
	return context.Cause(ctx)
}

// refused reads what the bucket answers to a write.
func refused(answer []byte) error {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(answer, &ack); {
	case err != nil:
		return err
	case ack.Error != nil:
		return ack.Error
	}
	return nil
}

// judge tells when our renewals stay away, and when they are back.
func (l *Leases) judge(ctx context.Context, err error) {
	l.mu.Lock()
	fresh := l.book.fresh(time.Now())
	told := l.lapsed
	l.lapsed = !fresh
	l.mu.Unlock()
	if ctx.Err() == nil && told == fresh {
		if fresh {
			err = nil
		} else if err == nil {
			err = ErrNotBack
		}
		l.cfg.Stored(err)
	}
}

// rest waits until the next renewal is due: by the clock, or because somebody may
// be gone, which only a renewal of ours can tell.
func (l *Leases) rest(ctx context.Context, err error) {
	if err != nil {
		return // it has waited
	}
	l.mu.Lock()
	due := l.book.due(time.Now())
	l.mu.Unlock()
	pause(ctx, due)
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// hear takes a renewal.
func (l *Leases) hear(msg *nats.Msg) {
	node, err := subjects.ParseToken(strings.TrimPrefix(msg.Subject, subjects.FeedNodes))
	if err != nil {
		return // nobody's lease
	}
	now := time.Now()
	l.mu.Lock()
	var changes []changed
	var said renewal
	switch {
	case msg.Header.Get("KV-Operation") != "":
		l.book.returned(node)
	case node != l.cfg.Node:
		changes = l.book.heard(node, now)
	case json.Unmarshal(msg.Data, &said) == nil && said.ID != l.id:
		select {
		case l.twin <- struct{}{}:
		default:
		}
	case said.ID == l.id:
		at, _ := time.Parse(time.RFC3339Nano, msg.Header.Get("Nats-Time-Stamp"))
		changes = l.book.tick(now, at)
		if said.Count == l.count {
			select {
			case l.back <- struct{}{}:
			default:
			}
		}
	}
	l.mu.Unlock()
	for _, c := range changes {
		l.cfg.Changed(c.node, c.change)
	}
}

// read takes in the leases that are held.
func (l *Leases) read(ctx context.Context) error {
	last, err := history.Last(ctx, l.cfg.Ask, stream, keys+">")
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	_, err = history.Read(ctx, l.cfg.Ask, stream, keys+">", 0, last, func(p history.Page) error {
		for _, fact := range p.Facts {
			l.hear(&nats.Msg{
				Subject: subjects.FeedNodes + strings.TrimPrefix(fact.Subject, keys), Header: fact.Header, Data: fact.Data,
			})
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("leases: %w", err)
	}
	return nil
}

// Return gives the lease back, and Run holds it no longer. Who is waited for on this
// node is waited for all the same.
func (l *Leases) Return(ctx context.Context) error {
	msg := nats.NewMsg(keys + subjects.Token(l.cfg.Node))
	msg.Header.Set("KV-Operation", "DEL")
	l.mu.Lock()
	l.parted = true
	l.mu.Unlock()
	_, err := l.cfg.Ask.RequestMsgWithContext(ctx, msg)
	return err
}

func (l *Leases) hasParted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.parted
}

// Here says whether a node is there. We are, and so is what is no node but a
// service.
func (l *Leases) Here(node string) bool {
	if node == l.cfg.Node || subjects.IsService(node) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.here(node, time.Now())
}

// Keeps says whether a node is there to end what it has begun: it is [Leases.Here],
// and has not given its lease back.
func (l *Leases) Keeps(node string) bool {
	if !l.Here(node) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.book.parted(node)
}

// Over says whether a time has come, by the clock of our renewals: one that comes
// while that stands still is over when everybody could have been heard again.
func (l *Leases) Over(at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.over(at, time.Now())
}

// Now is the time by the server's clock, as the last renewal told it.
func (l *Leases) Now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.book.server(time.Now())
}

// Since is how long ago something was stored, by the server's clock.
func (l *Leases) Since(at time.Time) time.Duration { return max(0, l.Now().Sub(at)) }

// Count is how many other nodes are there.
func (l *Leases) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.book.nodes)
}
