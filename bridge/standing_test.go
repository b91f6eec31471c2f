package bridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// no is what lines say of a channel that is not the asker's.
const no = "NO the channel does not exist or is not yours"

// tokenOf is a token of a user that grants what may be done, "rwp", on app channels,
// given as what and where in turn, and nothing else.
func tokenOf(t *testing.T, user string, lasts time.Duration, grants ...string) string {
	t.Helper()
	granted := []map[string]any{}
	for i := 0; i < len(grants); i += 2 {
		may := func(what string) bool { return strings.Contains(grants[i], what) }
		granted = append(granted, map[string]any{"pattern": grants[i+1], "read": may("r"), "write": may("w"), "presence": may("p")})
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "name": "of " + user, "role": "client", "exp": time.Now().Add(lasts).Unix(), "channels": granted,
	}).SignedString(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// What a codec has verified is a right on that channel alone, of that session alone,
// until it expires or the subscription ends; a pattern in a name is no pattern.
func TestAProofIsOfOneChannel(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	nothing := tokenOf(t, "ana", time.Hour)
	const text = websocket.MessageText
	enter := func() lineClient {
		c, _, err := dialLines(t, b, "?token="+nothing, websocket.CompressionDisabled)
		if err != nil {
			t.Fatal(err)
		}
		c.expect("YOU ARE ana", text)
		return c
	}
	c := enter()
	for _, step := range []struct{ ask, answer string }{
		{"JOIN app:a", no},
		{"SIGNED -1s rwp app:a", no},
		{"SIGNED 1h wp app:a", no},
		{"SAY in vain", no},
		{"SIGNED 1h r app:*", "JOINED app:*"},
		{"SAY in vain", no},
		{"JOIN app:a", no},
		{"SIGNED 1h rw app:a", "JOINED app:a"},
		{"HERE", no},
		{"AT app:b\nSAY in vain", no},
		{"PAST app:a 1 1h", "JOINED app:a"}, // again, without the proof
	} {
		c.send(text, step.ask)
		c.expect(step.answer, text)
	}
	c.send(text, "AT app:a\nSAY one")
	c.expect(`ana "one"`, websocket.MessageBinary)
	other := enter()
	other.send(text, "JOIN app:a")
	other.expect(no, text)

	c.send(text, "LEAVE")
	c.send(text, "JOIN app:a")
	c.expect(no, text)
	c.send(text, "SIGNED 6s rw app:a")
	c.expect("JOINED app:a", text)
	c.expect("END app:a revoked", text)
	c.send(text, "JOIN app:a")
	c.expect(no, text)
	c.send(text, "SAY in vain")
	c.expect(no, text)
}

// A subscription with a token of its own is somebody else's, there and nowhere else: what
// is read, said, commanded and shown on its channel is that one's.
func TestASubscriptionIsOfItsToken(t *testing.T) {
	t.Parallel()
	o, _, run := runOwner(t, "room", "luis")
	b := run()
	const text, bytes = websocket.MessageText, websocket.MessageBinary
	native := dial(t, b, "eva")
	native.must(`"op":"subscribe","channel":"app:a","presence":true`)
	c, _, err := dialLines(t, b, "?token="+tokenOf(t, "ana", time.Hour, "rwp", "app:b"), websocket.CompressionDisabled)
	if err != nil {
		t.Fatal(err)
	}
	c.expect("YOU ARE ana", text)
	luis := tokenOf(t, "luis", time.Hour, "rwp", "app:a")
	for _, step := range []struct{ ask, answer string }{
		{"JOIN app:a", no},
		{"AS nonsense app:a", "NO the token is not valid"},
		{"AS " + luis + " app:b", no}, // which is ana's
		{"AS " + luis + " app:a", "JOINED app:a"},
		{"PAST app:a 1 1h", "JOINED app:a"}, // again, without the token
		{"JOIN room:1", no},
		{"AS " + luis + " room:1", "JOINED room:1"},
	} {
		c.send(text, step.ask)
		c.expect(step.answer, text)
	}
	c.send(text, "AT app:a\nSAY one\nHERE")
	c.expect(`luis "one"`, bytes)
	if event := native.expect("event"); event["from"] != "luis" {
		t.Errorf("told %v", event)
	}
	if joins := fmt.Sprint(native.find("who joins", func(m message) bool { return m["joins"] != nil })["joins"]); !strings.Contains(joins, "name:of luis") || !strings.Contains(joins, "user:luis") {
		t.Errorf("there are %s", joins)
	}
	answering, err := nats.Connect(b.bus.Publish.ConnectedUrl())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(answering.Close)
	_, err = answering.Subscribe("cmd.room.1.leave", func(msg *nats.Msg) {
		_ = msg.Respond(fmt.Appendf(nil, `{"data":%t}`, msg.Header.Get(subjects.HeaderProof) == luis))
	})
	if err == nil {
		err = answering.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.send(text, "AT room:1\nDO leave")
	c.expect("DONE true", text)

	c.send(text, "AS "+tokenOf(t, "ana", time.Hour, "rwp", "app:a")+" app:a") // luis is there no more
	c.expect("JOINED app:a", text)
	c.send(text, "SAY two")
	c.expect(`ana "two"`, bytes)
	if leaves := fmt.Sprint(native.find("who leaves", func(m message) bool { return m["leaves"] != nil })["leaves"]); !strings.Contains(leaves, "user:luis") {
		t.Errorf("%s left", leaves)
	}
	end := o.store("member_left", `{"user":"luis"}`)
	c.expect(` {"user":"luis"}`, bytes)
	o.says("luis", "", end)
	c.expect("END room:1 revoked", text)
}

// The end of a subscription's token is its end, and of nothing else; another token in
// time is in its place.
func TestASubscriptionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	const text, bytes = websocket.MessageText, websocket.MessageBinary
	c, _, err := dialLines(t, b, "?token="+tokenOf(t, "ana", time.Hour, "rw", "app:*"), websocket.CompressionDisabled)
	if err != nil {
		t.Fatal(err)
	}
	c.expect("YOU ARE ana", text)
	short := func(lasts time.Duration) string { return tokenOf(t, "luis", lasts, "rw", "app:*") }
	for _, ask := range []string{"AS " + short(6*time.Second) + " app:a", "AS " + short(time.Hour) + " app:a", "AS " + short(8*time.Second) + " app:b", "JOIN app:c"} {
		c.send(text, ask)
		c.expect("JOINED "+ask[strings.LastIndex(ask, " ")+1:], text)
	}
	c.expect("END app:b token_expired", text) // and of app:a the first token before it
	c.send(text, "AT app:a\nSAY one")
	c.expect(`luis "one"`, bytes)
	c.send(text, "AT app:c\nSAY two")
	c.expect(`ana "two"`, bytes)
	c.send(text, "JOIN app:b")
	c.expect("JOINED app:b", text)
	c.send(text, "SAY three")
	c.expect(`ana "three"`, bytes)
}
