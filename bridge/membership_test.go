package bridge

import (
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/bridge/api"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// owner does by hand what the owner of a channel does: it stores facts, and says in
// the bucket who belongs to the channel, as late as the test wants.
type owner struct {
	t       *testing.T
	js      jetstream.JetStream
	channel subjects.Channel
}

func (o owner) store(event, format string, args ...any) uint64 {
	o.t.Helper()
	msg := nats.NewMsg(o.channel.Event())
	subjects.SetText(msg.Header, subjects.HeaderEvent, event)
	msg.Data = fmt.Appendf(nil, format, args...)
	stored, err := o.js.PublishMsg(o.t.Context(), msg)
	if err != nil {
		o.t.Fatal(err)
	}
	return stored.Sequence
}

// says writes who a user is as a fact has it; as nobody with role "".
func (o owner) says(user, role string, fact uint64) {
	o.t.Helper()
	msg := nats.NewMsg(keysOfMembers + o.channel.Member(user))
	msg.Data = fmt.Appendf(nil, `{"role":%q,"seq":%d}`, role, fact)
	if role == "" {
		msg.Header.Set("KV-Operation", "DEL")
	}
	if _, err := o.js.PublishMsg(o.t.Context(), msg); err != nil {
		o.t.Fatal(err)
	}
}

// seqs are the sequences of the events that the client was told so far, of live ones 0.
func (c *client) seqs() (told []uint64) {
	c.t.Helper()
	for range 2 { // what was there to tell is told before the second answer
		c.ask(`"op":"nothing"`)
	}
	for _, m := range c.queue {
		if m.op() == "event" {
			told = append(told, m.seq())
		}
	}
	return told
}

// runOwner runs a bridge and opens a channel with some members.
func runOwner(t *testing.T, kind string, members ...string) (o owner, opened uint64, run func() *Bridge) {
	t.Helper()
	bus := bustest.Start(t)
	o = owner{t: t, js: jetStream(t, bus), channel: subjects.Channel{Kind: kind, ID: "1"}}
	opened = o.store("opened", `{}`)
	for _, member := range members {
		o.says(member, "member", opened)
	}
	return o, opened, func() *Bridge {
		b, _ := runBridge(t, bus, Config{})
		return b
	}
}

// The bucket says later than the log that a membership has ended: that is when the
// subscription ends, but nothing is told behind the fact.
func TestNothingIsToldBehindTheEndOfAMembership(t *testing.T) {
	t.Parallel()
	for _, ending := range []struct{ kind, event, data string }{
		{"room", "member_left", `{"user":"ana"}`},
		{"room", "room_opened", `{"members":["luis"],"removed":["eva","ana"],"public":false}`},
		{"tracking", "tracking_opened", `{"operator":"luis","removed":["ana"],"public":true}`},
		{"room", "room_opened", `{"members":["luis"],"public":false}`},
		{"tracking", "tracking_opened", `{"operator":"luis","watchers":[],"public":true}`},
		{"ops", "requested", `{"client":"luis"}`},
		{"ops", "withdrawn", `{"client":"ana"}`},
		{"group", "group_created", `{"members":["luis"],"by":"luis"}`},
		{"group", "member_removed", `{"user":"ana","by":"luis"}`},
	} {
		t.Run(ending.kind+" "+ending.event, func(t *testing.T) {
			t.Parallel()
			o, _, run := runOwner(t, ending.kind, "ana", "luis")
			b := run()
			ana, luis := dial(t, b, "ana"), dial(t, b, "luis")
			for _, c := range []*client{ana, luis} {
				c.must(`"op":"subscribe","channel":%q,"presence":true`, o.channel)
			}
			before := o.store("noted", `{}`)
			end := o.store(ending.event, "%s", ending.data)
			after := o.store("noted", `{}`)
			equal(t, "luis", luis.events(o.channel.String(), 3), []uint64{before, end, after})
			luis.must(`"op":"publish","channel":%q,"event":"typing","data":{}`, o.channel)
			luis.events(o.channel.String(), 1)
			equal(t, "ana", ana.seqs(), []uint64{before, end})
			ana.nothing("unsubscribed")
			o.says("ana", "", end)
			if ended := ana.expect("unsubscribed"); ended["code"] != 4031.0 {
				t.Errorf("ended with %v, want 4031", ended)
			}
			equal(t, "ana at last", ana.seqs(), []uint64{before, end})
		})
	}
}

// Who is a member again misses nothing of what was held back, however old the value
// is that the bucket says first.
func TestAMemberAgainIsToldEverything(t *testing.T) {
	t.Parallel()
	o, opened, run := runOwner(t, "room", "ana", "luis")
	b := run()
	ana, luis := dial(t, b, "ana"), dial(t, b, "luis")
	for _, c := range []*client{ana, luis} {
		c.must(`"op":"subscribe","channel":"room:1"`)
	}
	all := []uint64{o.store("member_left", `{"user":"ana"}`), o.store("noted", `{}`), o.store("member_joined", `{"user":"ana"}`)}
	equal(t, "luis", luis.events("room:1", 3), all)
	o.says("ana", "member", opened)
	o.says("luis", "", all[1])
	luis.expect("unsubscribed") // so the value before was heard of, too
	equal(t, "ana", ana.seqs(), all[:1])
	o.says("ana", "member", all[2])
	equal(t, "ana", ana.events("room:1", 3), all)
	all = append(all, o.store("noted", `{}`))
	equal(t, "ana goes on", ana.events("room:1", 1), all[3:])
	ana.nothing("unsubscribed")
}

// Of a public channel anybody is a member: who leaves it reads on, until it is public
// no more.
func TestWhoLeavesAPublicRoomReadsOn(t *testing.T) {
	t.Parallel()
	o, _, run := runOwner(t, "room", "ana", "luis", anybody)
	b := run()
	ana, eva, luis := dial(t, b, "ana"), dial(t, b, "eva"), dial(t, b, "luis")
	for _, c := range []*client{ana, eva, luis} {
		c.must(`"op":"subscribe","channel":"room:1"`)
	}
	left, noted := o.store("member_left", `{"user":"ana"}`), o.store("noted", `{}`)
	o.says("ana", "", left)
	for name, c := range map[string]*client{"ana": ana, "eva": eva, "luis": luis} {
		equal(t, name, c.events("room:1", 2), []uint64{left, noted})
	}
	closed := o.store("room_opened", `{"members":["luis"],"public":false,"anew":true}`)
	noted = o.store("noted", `{}`)
	equal(t, "luis", luis.events("room:1", 2), []uint64{closed, noted})
	for name, c := range map[string]*client{"ana": ana, "eva": eva} {
		equal(t, name, c.seqs(), []uint64{closed})
	}
	o.says(anybody, "", closed)
	ana.expect("unsubscribed")
	eva.expect("unsubscribed")
}

// What is read between the fact and what the bucket says of it ends there, too: from
// the ring and from pages, over sockets and HTTP. What a member left and joined again
// in the past is of no account.
func TestReadsEndWithTheMembership(t *testing.T) {
	t.Parallel()
	o, first, run := runOwner(t, "room", "luis")
	facts := []uint64{first, o.store("member_joined", `{"user":"ana"}`), o.store("member_left", `{"user":"ana"}`), o.store("member_joined", `{"user":"ana"}`)}
	o.says("ana", "member", facts[3])
	watched := run()
	luis := dial(t, watched, "luis")
	luis.must(`"op":"subscribe","channel":"room:1","last":1000`)
	stays := dial(t, watched, "ana")
	stays.must(`"op":"subscribe","channel":"room:1","last":1000`)
	equal(t, "replayed to a member", stays.events("room:1", 4), facts)
	for range 300 {
		facts = append(facts, o.store("noted", `{}`))
	}
	facts = append(facts, o.store("member_left", `{"user":"ana"}`))
	end := len(facts)
	for range 300 {
		facts = append(facts, o.store("noted", `{}`))
	}
	equal(t, "luis", luis.events("room:1", len(facts)), facts)
	fresh := run()
	for name, b := range map[string]*Bridge{"watched": watched, "fresh": fresh} {
		ana := dial(t, b, "ana")
		ana.must(`"op":"subscribe","channel":"room:1","last":1000`)
		equal(t, name+" replayed", ana.events("room:1", end), facts[:end])
		equal(t, name+" and no more", ana.seqs(), nil)
		ana.must(`"op":"subscribe","channel":"room:1"`)
		equal(t, name+" again", ana.seqs(), nil)
		ana.must(`"op":"subscribe","channel":"room:1","last":1000,"anew":true`)
		equal(t, name+" anew", ana.events("room:1", end), facts[:end])
		equal(t, name+" anew and no more", ana.seqs(), nil)
		var page api.HistoryPage
		get(t, b, "ana", "/api/channels/room:1/events?limit=1000&since=0", &page)
		if n := len(page.Events); n != end || page.Events[n-1].Sequence != facts[end-1] || page.More {
			t.Errorf("%s: %d events over HTTP, more: %t; want %d", name, n, page.More, end)
		}
	}
	o.says("ana", "", facts[end-1])
	stays.expect("unsubscribed")
	if told := stays.seqs(); !slices.Equal(told, facts[4:end]) {
		t.Errorf("who stayed was told %v, want %v", told, facts[4:end])
	}
}

// Who comes when the fact is stored and the bucket does not say so yet is told nothing
// of what followed, whether the node has watched the channel or not.
func TestWhoComesBehindTheEndOfTheMembership(t *testing.T) {
	t.Parallel()
	for _, watched := range []bool{true, false} {
		t.Run(fmt.Sprintf("watched %t", watched), func(t *testing.T) {
			t.Parallel()
			o, _, run := runOwner(t, "room", "ana", "luis")
			b := run()
			luis, ana := dial(t, b, "luis"), dial(t, b, "ana")
			if watched {
				luis.must(`"op":"subscribe","channel":"room:1"`)
			}
			end := o.store("member_left", `{"user":"ana"}`)
			after := o.store("noted", `{}`)
			if watched {
				luis.events("room:1", 2)
			}
			for _, query := range []string{"limit=1", fmt.Sprintf("since=%d", end), fmt.Sprintf("since=%d", after)} {
				var page api.HistoryPage
				get(t, b, "ana", "/api/channels/room:1/events?"+query, &page)
				if len(page.Events) > 0 || page.More {
					t.Errorf("over HTTP, %s: %+v", query, page)
				}
			}
			ana.must(`"op":"subscribe","channel":"room:1","last":1`)
			luis.must(`"op":"subscribe","channel":"room:1"`)
			next := o.store("noted", `{}`)
			equal(t, "luis", luis.events("room:1", 1), []uint64{next})
			equal(t, "ana", ana.seqs(), nil)
			o.says("ana", "", end)
			ana.expect("unsubscribed")
		})
	}
}

// Whose membership names a fact behind the stream's end belongs to a past that is gone:
// they follow the channel no more when its stream is made anew, by no door.
func TestMembersOfAPastThatIsGone(t *testing.T) {
	t.Parallel()
	for _, who := range []string{"ana", anybody} {
		t.Run("of "+who, func(t *testing.T) {
			t.Parallel()
			o, _, run := runOwner(t, "room", "luis")
			o.says(who, "member", o.store("noted", `{}`))
			b := run()
			ana := dial(t, b, "ana")
			ana.must(`"op":"subscribe","channel":"room:1","last":1`)
			if err := o.js.DeleteStream(t.Context(), subjects.StreamRoom); err != nil {
				t.Fatal(err)
			}
			if err := topology.Ensure(t.Context(), o.js, topology.Config{}); err != nil {
				t.Fatal(err)
			}
			if ended := ana.expect("unsubscribed"); ended["code"] != 4031.0 {
				t.Errorf("ended with %v, want 4031", ended)
			}
			if again := ana.ask(`"op":"subscribe","channel":"room:1"`); again["code"] != 4030.0 {
				t.Errorf("subscribed again: %v", again)
			}
			if _, answer := request(t, b, token(t, b, "ana", ""), "GET", "/api/channels/room:1/events", ""); answer["code"] != 4030.0 {
				t.Errorf("over HTTP: %v", answer)
			}
			o.says("ana", "member", o.store("opened", `{}`))
			ana.must(`"op":"subscribe","channel":"room:1"`)
		})
	}
}
