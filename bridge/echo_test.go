package bridge

import (
	"testing"

	"github.com/coder/websocket"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// An event says on the bus which session it comes from, so that a subscription may
// leave its own out, and nothing else: not those of its user's other sessions, and
// from no other subscription.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	durable, err := subjects.AppKind("log:durable")
	if err != nil {
		t.Fatal(err)
	}
	bus := bustest.StartWith(t, topology.Config{Kinds: []subjects.Kind{durable}})
	b, _ := runBridge(t, bus, Config{Kinds: []subjects.Kind{durable}})
	for _, channel := range []string{"app:echo", "log:echo"} {
		name, err := subjects.ParseChannel(channel)
		if err != nil {
			t.Fatal(err)
		}
		nc := bus.Connect(t)
		subject := name.Live()
		if channel == "log:echo" {
			subject = name.Feed()
		}
		seen, err := nc.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		native := dial(t, b, "ana")
		native.must(`"op":"subscribe","channel":%q`, channel)
		hushed, heard := joinLines(t, b, "/lines", "HUSH", channel), joinLines(t, b, "/lines", "JOIN", channel)

		hushed.send(websocket.MessageText, "SAY one")
		heard.expect(`ana "one"`, websocket.MessageBinary)
		heard.send(websocket.MessageText, "SAY two")
		hushed.expect(`ana "two"`, websocket.MessageBinary)
		heard.expect(`ana "two"`, websocket.MessageBinary)
		native.must(`"op":"publish","channel":%q,"event":"said","data":"three"`, channel)
		hushed.expect(`ana "three"`, websocket.MessageBinary)
		heard.expect(`ana "three"`, websocket.MessageBinary)

		var sessions [3]string
		for i := range sessions {
			msg, err := seen.NextMsgWithContext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			sessions[i] = subjects.Text(msg.Header, subjects.HeaderSession)
			if event := native.expect("event"); event["session"] != nil {
				t.Errorf("%s: told %v", channel, event)
			}
		}
		if sessions[0] == "" || sessions[1] == "" || sessions[0] == sessions[1] || sessions[2] != native.ref() {
			t.Errorf("%s: events of the sessions %q", channel, sessions)
		}
	}
}

// joinLines is a session of ana's that has joined a channel.
func joinLines(t *testing.T, b *Bridge, path, verb, channel string) lineClient {
	t.Helper()
	c, _, err := dialAt(t, b, path+"?token="+token(t, b, "ana", "nurse"), websocket.CompressionDisabled)
	if err != nil {
		t.Fatal(err)
	}
	c.expect("YOU ARE ana", websocket.MessageText)
	c.send(websocket.MessageText, verb+" "+channel)
	c.expect("JOINED "+channel, websocket.MessageText)
	return c
}
