package estest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Caller speaks to services from outside, as the bridge does.
type Caller struct {
	Conn *nats.Conn
	JS   jetstream.JetStream
	t    *testing.T
}

// NewCaller connects to the bus.
func NewCaller(t *testing.T, bus *bustest.Bus) Caller {
	t.Helper()
	nc := bus.Connect(t)
	js, err := jetstream.New(nc, bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	return Caller{Conn: nc, JS: js, t: t}
}

// Ask sends one command; a user who shows no token has one without a role. As long as nobody listens, as while a cluster tells its
// nodes of a new service, it asks again.
func (c Caller) Ask(call es.Call) (uint64, error) {
	if call.Proof == "" && !strings.HasPrefix(call.From, schemas.ServicePrefix) {
		call.Proof = Proof(call.From, "")
	}
	for {
		seq, err := call.Do(c.t.Context(), c.Conn)
		if !errors.Is(err, nats.ErrNoResponders) {
			return seq, err
		}
	}
}

// Do sends a command that must be accepted, and returns its sequence.
func (c Caller) Do(call es.Call) uint64 {
	c.t.Helper()
	seq, err := c.Ask(call)
	if err != nil {
		c.t.Fatalf("%s on %s by %s: %v", call.Command, call.Channel, call.From, err)
	}
	return seq
}

// Refused sends a command that must be refused with the code.
func (c Caller) Refused(code schemas.Code, call es.Call) {
	c.t.Helper()
	seq, err := c.Ask(call)
	if err == nil {
		c.t.Fatalf("%s on %s by %s: accepted at %d, want %s", call.Command, call.Channel, call.From, seq, code.Reason())
	}
	if !errors.Is(err, schemas.Refusal{Code: code}) {
		c.t.Fatalf("%s on %s by %s: %v, want %s", call.Command, call.Channel, call.From, err, code.Reason())
	}
}

// Store appends a fact past its service, as one that died right after would
// have left it.
func (c Caller) Store(channel subjects.Channel, event es.Event) {
	c.t.Helper()
	body, err := json.Marshal(event.Data)
	if err != nil {
		c.t.Fatal(err)
	}
	message := &nats.Msg{Subject: channel.Event(), Data: body, Header: nats.Header{subjects.HeaderEvent: {subjects.Token(event.Name)}}}
	if _, err := c.JS.PublishMsg(c.t.Context(), message); err != nil {
		c.t.Fatal(err)
	}
}

// Facts reads the stored facts of a channel back, oldest first.
func (c Caller) Facts(channel subjects.Channel) []history.Fact {
	c.t.Helper()
	stream, subject := subjects.Catalog[channel.Kind].Stream, channel.Event()
	last, err := history.Last(c.t.Context(), c.Conn, stream, subject)
	if err != nil {
		c.t.Fatal(err)
	}
	var facts []history.Fact
	_, err = history.Read(c.t.Context(), c.Conn, stream, subject, 0, last, func(page history.Page) error {
		facts = append(facts, page.Facts...)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return facts
}

// Names lists the names of the stored events of a channel.
func (c Caller) Names(channel subjects.Channel) []string {
	c.t.Helper()
	var names []string
	for _, fact := range c.Facts(channel) {
		names = append(names, subjects.Text(fact.Header, subjects.HeaderEvent))
	}
	return names
}

// Role is the user's entry in the bucket "members", or "".
func (c Caller) Role(channel subjects.Channel, user string) string {
	c.t.Helper()
	bucket := c.bucket(subjects.BucketMembers)
	entry, err := bucket.Get(c.t.Context(), channel.Member(user))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return ""
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return role(c.t, entry)
}

// Membership is the value of the user's key in the bucket "members".
func (c Caller) Membership(channel subjects.Channel, user string) subjects.Membership {
	c.t.Helper()
	entry, err := c.bucket(subjects.BucketMembers).Get(c.t.Context(), channel.Member(user))
	if err != nil {
		c.t.Fatal(err)
	}
	return subjects.ReadMembership(entry.Value())
}

// AwaitRole returns when the bucket "members" says that the user has the role.
func (c Caller) AwaitRole(channel subjects.Channel, user, want string) {
	c.t.Helper()
	watch := c.Watch(subjects.BucketMembers, channel.Member(user))
	defer func() { _ = watch.Stop() }()
	for entry := range watch.Updates() {
		if entry != nil && role(c.t, entry) == want {
			return
		}
	}
	c.t.Fatalf("the watch on %s ended", channel)
}

// Watch watches keys of a bucket.
func (c Caller) Watch(bucket, filter string) (watch jetstream.KeyWatcher) {
	c.t.Helper()
	c.Insist(func() error {
		kept, err := c.JS.KeyValue(c.t.Context(), bucket)
		if err == nil {
			watch, err = kept.Watch(c.t.Context(), filter)
		}
		return err
	})
	return watch
}

// Insist does what must work and may be done twice. While a server restarts or a
// cluster elects its leaders nothing answers: then it does it again.
func (c Caller) Insist(do func() error) {
	c.t.Helper()
	started := time.Now()
	for {
		err := do()
		if err == nil {
			return
		}
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > patience {
			c.t.Fatal(err)
		}
	}
}

func role(t *testing.T, entry jetstream.KeyValueEntry) string {
	t.Helper()
	if entry.Operation() != jetstream.KeyValuePut {
		return ""
	}
	var value struct {
		Role string `json:"role"`
	}
	if err := json.Unmarshal(entry.Value(), &value); err != nil {
		t.Fatal(err)
	}
	return value.Role
}

func (c Caller) bucket(name string) jetstream.KeyValue {
	c.t.Helper()
	bucket, err := c.JS.KeyValue(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return bucket
}

// Feed receives what a channel's feed brings from now on.
type Feed struct {
	t   *testing.T
	sub *nats.Subscription
}

// Feed subscribes to a channel's feed.
func (c Caller) Feed(channel subjects.Channel) Feed {
	c.t.Helper()
	sub, err := c.Conn.SubscribeSync(channel.Feed())
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.Conn.Flush(); err != nil {
		c.t.Fatal(err)
	}
	return Feed{t: c.t, sub: sub}
}

// Await returns the next event of this name.
func (f Feed) Await(name string) *nats.Msg {
	f.t.Helper()
	for {
		message := f.Next()
		if subjects.Text(message.Header, subjects.HeaderEvent) == name {
			return message
		}
	}
}

// Next returns the next event.
func (f Feed) Next() *nats.Msg {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	message, err := f.sub.NextMsgWithContext(ctx)
	if err != nil {
		f.t.Fatalf("next of %s: %v", f.sub.Subject, err)
	}
	return message
}
