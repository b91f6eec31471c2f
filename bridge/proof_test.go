package bridge

import (
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/subjects/topology/bustest"
)

// What a codec has verified is a right on that channel alone, of that session alone,
// until it expires or the subscription ends; a pattern in a name is no pattern.
func TestAProofIsOfOneChannel(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	nothing, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ana", "exp": time.Now().Add(time.Hour).Unix(), "channels": []any{},
	}).SignedString(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	const text = websocket.MessageText
	const no = "NO the channel does not exist or is not yours"
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
	c.expect("END app:a", text)
	c.send(text, "JOIN app:a")
	c.expect(no, text)
	c.send(text, "SAY in vain")
	c.expect(no, text)
}
