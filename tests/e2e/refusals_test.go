package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/tests/kit"
)

// bystanders are two clients who talk on the bridge that others abuse.
type bystanders struct {
	*world
	talker, listener *kit.Client
	stop             context.CancelFunc
	talking          sync.WaitGroup
	said             int
}

const theirs = "room:of others"

// besides starts a system on which two clients talk until the test ends, and
// judges then that they lost nothing and never had to reconnect.
func besides(t *testing.T, cfg stack.Config) (*bystanders, string) {
	t.Helper()
	w := newWorld(t, slack, nil)
	address := w.start(cfg).HTTPAddr()
	b := &bystanders{world: w, talker: w.Client(kit.ClientConfig{Who: kit.Identity{User: "talker"}}), listener: w.Client(kit.ClientConfig{Who: kit.Identity{User: "listener"}})}
	w.Run(b.talker)
	w.Run(b.listener)
	if _, _, err := b.talker.Call(w.Ctx, theirs, "open", chat.Open{Members: []string{"listener"}}); err != nil {
		t.Fatal(err)
	}
	for _, client := range []*kit.Client{b.talker, b.listener} {
		w.Check(client.Follow(w.Ctx, theirs, kit.FromFirst, false))
	}
	ctx, stop := context.WithCancel(w.Ctx)
	b.stop = stop
	b.talking.Go(func() { b.talk(ctx) })
	return b, address
}

func (b *bystanders) talk(ctx context.Context) {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		_, _, err := b.talker.Publish(b.Ctx, theirs, "new_message", chat.Post{Text: fmt.Sprint(b.said)})
		if !b.Check(err) {
			return
		}
		b.said++
	}
}

// unharmed ends the talk and judges it. Besides it, the room holds as many
// messages as others have said.
func (b *bystanders) unharmed(others int) {
	b.T.Helper()
	b.stop()
	b.talking.Wait()
	truth := b.settle(&counts{})
	if stored := len(truth[theirs]); stored != 1+b.said+others {
		b.T.Errorf("%d facts for %d messages", stored, b.said+others)
	}
	for _, client := range []*kit.Client{b.talker, b.listener} {
		if tally := client.Tally(); tally.Connections != 1 {
			b.T.Errorf("%s needed %d connections", client.User(), tally.Connections)
		}
	}
	b.StopClients()
}

// TestRefusedFrames says one wrong thing after hello: it is answered with its
// code and the session goes on.
func TestRefusedFrames(t *testing.T) {
	t.Parallel()
	b, address := besides(t, stack.Config{})
	for name, test := range map[string]struct {
		frame string
		code  schemas.Code
	}{
		"half a frame":            {`{"id":1,"op":"subscr`, schemas.InvalidJSON},
		"nothing":                 {``, schemas.InvalidJSON},
		"two frames in one":       {`{"op":"pong"}{"op":"pong"}`, schemas.InvalidJSON},
		"a list":                  {`[1,"subscribe"]`, schemas.InvalidFrame},
		"a field of another type": {`{"id":1,"op":"subscribe","channel":7}`, schemas.InvalidFrame},
		"no id":                   {`{"op":"subscribe","channel":"app:x"}`, schemas.InvalidFrame},
		"a negative id":           {`{"id":-1,"op":"subscribe","channel":"app:x"}`, schemas.InvalidFrame},
		"an unknown op":           {`{"id":1,"op":"destroy"}`, schemas.UnknownOp},
		"an unknown kind":         {`{"id":1,"op":"subscribe","channel":"planet:earth"}`, schemas.UnknownKind},
		"an unknown command":      {`{"id":1,"op":"call","channel":"room:x","command":"destroy","data":{}}`, schemas.UnknownCommand},
		"an unknown event":        {`{"id":1,"op":"publish","channel":"room:x","event":"exploded","data":{}}`, schemas.UnknownEvent},
		"a fact of the owner's":   {`{"id":1,"op":"publish","channel":"room:x","event":"member_joined","data":{"user":"me"}}`, schemas.UnknownEvent},
		"data of another schema":  {`{"id":1,"op":"publish","channel":"room:x","event":"new_message","data":{"text":5}}`, schemas.InvalidData},
		"data with too much":      {`{"id":1,"op":"publish","channel":"room:x","event":"new_message","data":{"text":"","from":"you"}}`, schemas.InvalidData},
		"a key too long":          {`{"id":1,"op":"publish","channel":"room:x","event":"new_message","key":"` + strings.Repeat("k", 201) + `","data":{"text":""}}`, schemas.InvalidFrame},
		"not subscribed":          {`{"id":1,"op":"unsubscribe","channel":"app:x"}`, schemas.NotSubscribed},
		"another's token":         {text(kit.Frame{"id": 1, "op": "token", "token": b.Secret.Token(kit.Identity{User: "eve"})}), schemas.Forbidden},
		"meta too large":          {text(kit.Frame{"id": 1, "op": "track", "channel": "app:x", "meta": strings.Repeat("m", 3000)}), schemas.MetaTooLarge},
		"an internal command":     {`{"id":1,"op":"call","channel":"ops:x","command":"assign","data":{"room":"room:x","tracking":"tracking:x"}}`, schemas.Forbidden},
		"the role of a service":   {`{"id":1,"op":"publish","channel":"global:system","event":"maintenance_alert","data":{"msg":"a","type":"b"}}`, schemas.Forbidden},
		"a wildcard for an id":    {`{"id":1,"op":"subscribe","channel":"room:*"}`, schemas.Forbidden},
		"all that is left for id": {`{"id":1,"op":"subscribe","channel":"room:>"}`, schemas.Forbidden},
		"another's inbox":         {`{"id":1,"op":"subscribe","channel":"user:talker"}`, schemas.Forbidden},
		"an id of another case":   {`{"id":1,"op":"subscribe","channel":"room:OF OTHERS"}`, schemas.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			s := b.welcomed(address, "mallory")
			s.Send(test.frame)
			refused := s.Refused()
			if code := refused.Code(); code != test.code || refused["reason"] != code.Reason() || refused["retry"] != code.Retry() {
				t.Errorf("refused with %v; want %d %s", refused, test.code, test.code.Reason())
			}
			if !s.Works() {
				t.Error("the session is gone")
			}
		})
	}
	b.unharmed(0)
}

// TestRefusedConnections does something for which the connection is closed.
func TestRefusedConnections(t *testing.T) {
	t.Parallel()
	cfg := stack.Config{}
	cfg.Limits.Handshake = 5 * time.Second
	cfg.Leeway = time.Second // or a token that is said late is good for a minute more
	b, address := besides(t, cfg)
	good := b.Secret.Token(kit.Identity{User: "mallory"})
	hello := func(token string) string { return text(kit.Frame{"op": "hello", "token": token}) }
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "mallory", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("each", func(t *testing.T) {
		for name, test := range map[string]struct {
			frames []string
			code   schemas.Code
		}{
			"silence":                {nil, schemas.HelloExpected},
			"a request before hello": {[]string{`{"id":1,"op":"subscribe","channel":"app:x"}`}, schemas.HelloExpected},
			"no token":               {[]string{`{"op":"hello"}`}, schemas.Unauthenticated},
			"garbage for a token":    {[]string{hello("a.b.c")}, schemas.Unauthenticated},
			"another secret":         {[]string{hello(kit.Secret("another secret that is long enough").Token(kit.Identity{User: "mallory"}))}, schemas.Unauthenticated},
			"an unsigned token":      {[]string{hello(unsigned)}, schemas.Unauthenticated},
			"an expired token":       {[]string{hello(b.Secret.TokenFor(kit.Identity{User: "mallory"}, -time.Hour))}, schemas.TokenExpired},
			"a token that expires":   {[]string{hello(b.Secret.TokenFor(kit.Identity{User: "mallory"}, 2*time.Second))}, schemas.TokenExpired},
			"an oversized frame":     {[]string{hello(good), text(kit.Frame{"id": 1, "op": "publish", "data": strings.Repeat("x", 10<<20)})}, schemas.FrameTooLarge},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := kit.Dial(t, address)
				for _, frame := range test.frames {
					s.Send(frame)
				}
				if code := s.CloseCode(); code != test.code {
					t.Errorf("closed with %d, want %d %s", code, test.code, test.code.Reason())
				}
			})
		}
		t.Run("binary", func(t *testing.T) {
			t.Parallel()
			s := kit.Welcomed(t, address, bridge.Hello{Token: good})
			s.SendBinary([]byte{0, 1, 2})
			if code := s.CloseCode(); code != kit.UnsupportedData {
				t.Errorf("closed with %d", code)
			}
		})
	})
	b.unharmed(0)
}

// TestNoDifference holds the answers about a private room of others against those
// about a room that does not exist: they must not tell which is which.
func TestNoDifference(t *testing.T) {
	t.Parallel()
	b, address := besides(t, stack.Config{})
	s := b.welcomed(address, "mallory")
	for name, fields := range map[string]kit.Frame{
		"subscribe":            {"op": "subscribe"},
		"subscribe with last":  {"op": "subscribe", "last": 10},
		"subscribe with since": {"op": "subscribe", "since": map[string]any{"epoch": "x", "seq": 1}},
		"publish":              {"op": "publish", "event": "new_message", "data": map[string]any{"text": "let me in"}},
		"publish a live event": {"op": "publish", "event": "typing", "data": map[string]any{}},
		"join":                 {"op": "call", "command": "join", "data": map[string]any{}},
		"invite":               {"op": "call", "command": "invite", "data": map[string]any{"user": "mallory"}},
		"close":                {"op": "call", "command": "close", "data": map[string]any{}},
		"leave":                {"op": "call", "command": "leave", "data": map[string]any{}},
		"track":                {"op": "track", "meta": map[string]any{}},
	} {
		var answers []kit.Frame
		for _, channel := range []string{theirs, "room:of nobody"} {
			fields["id"], fields["channel"] = 1, channel
			s.Send(fields)
			answers = append(answers, s.Refused())
		}
		if code := answers[0].Code(); !reflect.DeepEqual(answers[0], answers[1]) || code != schemas.Forbidden && code != schemas.NotSubscribed {
			t.Errorf("%s: %+v of others' room, %+v of none", name, answers[0], answers[1])
		}
	}
	b.unharmed(0)
}

// TestReusedKey: a key answers for one request only.
func TestReusedKey(t *testing.T) {
	t.Parallel()
	b, address := besides(t, stack.Config{})
	s := b.welcomed(address, "listener")
	say := func(id int, text string) kit.Frame {
		s.Send(kit.Frame{
			"id": id, "op": "publish", "channel": theirs, "event": "new_message", "key": "one", "data": kit.Frame{"text": text},
		})
		return s.Next()
	}
	first := say(1, "once")
	if first["op"] != "ok" || first["seq"] == nil {
		t.Fatalf("published: %v", first)
	}
	if again := say(2, "once"); again["op"] != "ok" || again["seq"] != first["seq"] {
		t.Errorf("the same again was answered %v, the first time %v", again, first)
	}
	if refused := say(3, "twice"); refused.Code() != schemas.KeyReused {
		t.Errorf("another body under the key was answered %v", refused)
	}
	b.unharmed(1)
}

// TestTooManyChannels subscribes to 1,500 channels: the first 500 are given, the
// rest are refused one by one.
func TestTooManyChannels(t *testing.T) {
	t.Parallel()
	const wanted, limit = 1_500, 500
	b, address := besides(t, stack.Config{})
	s := b.welcomed(address, "mallory")
	var asking sync.WaitGroup
	asking.Go(func() {
		for id := range wanted {
			s.Send(fmt.Sprintf(`{"id":%d,"op":"subscribe","channel":"app:%d"}`, id+1, id))
		}
	})
	given, refused := 0, map[schemas.Code]int{}
	for range wanted {
		switch heard := s.Next(); heard["op"] {
		case "ok":
			given++
		case "error":
			refused[heard.Code()]++
		default:
			t.Fatalf("after %d given, %v refused: %v", given, refused, heard)
		}
	}
	asking.Wait()
	if given != limit || refused[schemas.TooManyChannels] != wanted-limit {
		t.Errorf("%d given, %v refused", given, refused)
	}
	b.unharmed(0)
}

// TestDraining: who publishes to a bridge that stops is told to come back, and
// what was acknowledged is stored.
func TestDraining(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slack, nil)
	w.start(stack.Config{Node: "stays"})
	leaving := w.start(stack.Config{Node: "leaves", Parts: []string{"bridge"}})
	host := w.Client(kit.ClientConfig{Who: kit.Identity{User: "host"}})
	w.Run(host)
	_, _, err := host.Call(w.Ctx, theirs, "open", chat.Open{Members: []string{"guest"}})
	w.Check(err)
	w.Check(host.Follow(w.Ctx, theirs, kit.FromFirst, false))
	// With two sessions, the goodbyes are spread over the drain: one hears of it
	// while the other is still there.
	var drained, refused int
	var guests sync.WaitGroup
	var mu sync.Mutex
	ready := make(chan struct{}, guestsOfDrain)
	for i := range guestsOfDrain {
		s := w.welcomed(leaving.HTTPAddr(), "guest")
		guests.Go(func() {
			told, codes := w.publishUntilClosed(s, i, ready)
			mu.Lock()
			defer mu.Unlock()
			drained += told
			refused += codes[schemas.Draining]
			delete(codes, schemas.Draining)
			if len(codes) > 0 {
				t.Errorf("guest %d was refused with %v", i, codes)
			}
		})
	}
	for range guestsOfDrain {
		<-ready
	}
	if err := leaving.Close(); err != nil {
		t.Error(err)
	}
	guests.Wait()
	if drained != guestsOfDrain || refused == 0 {
		t.Errorf("%d of %d were told of the drain, %d publishes were refused with draining", drained, guestsOfDrain, refused)
	}
	w.settle(&counts{})
	w.StopClients()
}

const guestsOfDrain = 10

// publishUntilClosed publishes, one after another, until the bridge hangs up. It
// sends on ready after the first answer.
func (w *world) publishUntilClosed(s *kit.RawClient, guest int, ready chan<- struct{}) (drains int, codes map[schemas.Code]int) {
	codes = map[schemas.Code]int{}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for id := 1; ; id++ {
		<-pace.C
		s.Send(kit.Frame{
			"id": id, "op": "publish", "channel": theirs, "event": "new_message",
			"key": fmt.Sprintf("%d-%d", guest, id), "data": kit.Frame{"text": "still here"},
		})
		for answered := false; !answered; {
			switch heard := s.Next(); heard["op"] {
			case "drain":
				drains++
			case "ok":
				answered = true
			case "error":
				answered = heard["id"] != nil
				codes[heard.Code()]++
			case kit.Closed:
				if code := heard.Code(); code != schemas.Draining && code != kit.GoingAway {
					w.T.Errorf("closed: %v", heard)
				}
				return drains, codes
			}
		}
		if id == 1 {
			ready <- struct{}{}
		}
	}
}

// welcomed is a raw client that a bridge has welcomed as a user.
func (w *world) welcomed(address, user string) *kit.RawClient {
	w.T.Helper()
	return kit.Welcomed(w.T, address, bridge.Hello{Token: w.Secret.Token(kit.Identity{User: user})})
}

func text(frame kit.Frame) string {
	encoded, err := json.Marshal(frame)
	if err != nil {
		panic(err) // a test's own value
	}
	return string(encoded)
}
