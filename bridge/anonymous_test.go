package bridge

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/bridge/admission"
	"github.com/latido/latido/bridge/session"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/topology/bustest"
)

// Who has not signed in has what is granted, on channels that go by grants, and is the
// same one by its secret; nobody signed in can be taken for it.
func TestAnonymous(t *testing.T) {
	t.Parallel()
	b, _ := runBridge(t, bustest.Start(t), Config{})
	const text, bytes = websocket.MessageText, websocket.MessageBinary
	sign := func(claims jwt.MapClaims) string {
		claims["exp"] = time.Now().Add(time.Hour).Unix()
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(testSecret)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	anon := sign(jwt.MapClaims{"role": "anon", "channels": []any{map[string]any{"pattern": "app:*", "read": true, "write": true, "presence": true}}})
	enter := func(query string) (c lineClient, user string) {
		c, _, err := dialLines(t, b, "?anonymous=1&"+query, websocket.CompressionDisabled)
		if err != nil {
			t.Fatal(err)
		}
		user, found := strings.CutPrefix(c.read(), "YOU ARE ")
		if !found {
			t.Fatalf("%s is not let in: %s", query, user)
		}
		return c, user
	}
	c, user := enter("secret=sixteen-bytes-at-least&token=" + anon)
	if !strings.HasPrefix(user, schemas.AnonymousPrefix) || schemas.CheckUser(user) != nil {
		t.Errorf("it is %q", user)
	}
	c.send(text, "JOIN app:a")
	c.expect("JOINED app:a", text)
	c.send(text, "SAY one")
	c.expect(user+` "one"`, bytes)
	for _, channel := range []string{"room:1", "global:system", "user:" + user, "user:ana", "group:1", "presence:user.ana", "presence:group.1", "presence:x"} {
		c.send(text, "JOIN "+channel)
		c.expect(no, text)
	}
	c.send(text, "AT room:1\nDO join")
	c.expect("NO only who has signed in may command", text)
	c.send(text, "AS "+token(t, b, "ana", "")+" global:system") // who signs in on one channel is somebody there
	c.expect("JOINED global:system", text)

	if _, again := enter("secret=sixteen-bytes-at-least&token=" + anon); again != user {
		t.Errorf("%s came back as %s", user, again)
	}
	other, stranger := enter("secret=sixteen-other-bytes&token=" + sign(jwt.MapClaims{"role": "anon"}))
	if stranger == user {
		t.Error("two are one")
	}
	bare, _ := enter("")
	for _, c := range []lineClient{other, bare} {
		c.send(text, "JOIN app:a") // without grants there are none
		c.expect(no, text)
	}
	if _, named := enter("token=" + token(t, b, "luis", "")); named != "luis" {
		t.Errorf("whose token is luis's is %s", named)
	}
	for name, refused := range map[string]string{
		"a name of somebody anonymous": "?token=" + sign(jwt.MapClaims{"sub": user}),
		"nobody, where one signs in":   "?token=" + anon,
		"nobody of another role":       "?anonymous=1&token=" + sign(jwt.MapClaims{"role": "client"}),
	} {
		c, _, err := dialLines(t, b, refused, websocket.CompressionDisabled)
		if err != nil {
			t.Fatal(err)
		}
		if told := c.read(); !strings.HasPrefix(told, "NO the token's sub") {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

// Those of one address share an account, and are bounded; a session that has left
// makes room.
func TestAnonymousOfAnAddress(t *testing.T) {
	t.Parallel()
	door := admission.New(session.Limits{}.WithDefaults().Admission())
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	enter := func(address netip.Addr) (*admission.Visit, *admission.Account, error) {
		visit, _ := door.Enter(address) // that they come fast is not the point
		account, err := visit.WelcomeAnonymous()
		return visit, account, err
	}
	first, shared, err := enter(here)
	for range 499 {
		_, account, refused := enter(here)
		if account != shared || refused != nil {
			t.Fatalf("another account, or %v", refused)
		}
	}
	over, _, refused := enter(here)
	if err != nil || refused == nil {
		t.Errorf("%v, and one too many: %v", err, refused)
	}
	if _, account, err := enter(there); err != nil || account == shared {
		t.Errorf("another address: %v", err)
	}
	over.Leave()
	first.Leave()
	if _, _, err := enter(here); err != nil {
		t.Errorf("one has left: %v", err)
	}
}
