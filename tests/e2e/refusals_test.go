package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/schemas/chat"
)

// bystanders are two clients who talk on the bridge that others abuse.
type bystanders struct {
	*world
	talker, listener *Client
	stop             context.CancelFunc
	talking          sync.WaitGroup
	said             int
}

const theirs = "room:of others"

// besides starts a system on which two clients talk until the test ends, and
// judges then that they lost nothing and never had to reconnect.
func besides(t *testing.T, cfg stack.Config) (*bystanders, string) {
	t.Helper()
	w := newWorld(t, slack)
	address := w.start(cfg).HTTPAddr()
	b := &bystanders{world: w, talker: w.client(Identity{User: "talker"}), listener: w.client(Identity{User: "listener"})}
	w.run(b.talker)
	w.run(b.listener)
	if _, _, err := b.talker.Call(w.ctx, theirs, "open", chat.Open{Members: []string{"listener"}}); err != nil {
		t.Fatal(err)
	}
	for _, client := range []*Client{b.talker, b.listener} {
		w.check(client.Follow(w.ctx, theirs, FromFirst, false))
	}
	ctx, stop := context.WithCancel(w.ctx)
	b.stop = stop
	b.talking.Go(func() { b.talk(ctx) })
	return b, address
}

func (b *bystanders) talk(ctx context.Context) {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		_, _, err := b.talker.Publish(b.ctx, theirs, "new_message", chat.Post{Text: fmt.Sprint(b.said)})
		if !b.check(err) {
			return
		}
		b.said++
	}
}

// unharmed ends the talk and judges it. Besides it, the room holds as many
// messages as others have said.
func (b *bystanders) unharmed(others int) {
	b.t.Helper()
	b.stop()
	b.talking.Wait()
	truth := b.settle(&counts{})
	if stored := len(truth[theirs]); stored != 1+b.said+others {
		b.t.Errorf("%d facts for %d messages", stored, b.said+others)
	}
	for _, client := range []*Client{b.talker, b.listener} {
		if tally := client.Tally(); tally.Connections != 1 {
			b.t.Errorf("%s needed %d connections", client.User(), tally.Connections)
		}
	}
	b.disperse()
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
		"another's token":         {request(map[string]any{"id": 1, "op": "token", "token": b.secret.Token(Identity{User: "eve"}, tokenLasts)}), schemas.Forbidden},
		"meta too large":          {request(map[string]any{"id": 1, "op": "track", "channel": "app:x", "meta": strings.Repeat("m", 3000)}), schemas.MetaTooLarge},
		"an internal command":     {`{"id":1,"op":"call","channel":"ops:x","command":"assign","data":{"room":"room:x","tracking":"tracking:x"}}`, schemas.Forbidden},
		"the role of a service":   {`{"id":1,"op":"publish","channel":"global:system","event":"maintenance_alert","data":{"msg":"a","type":"b"}}`, schemas.Forbidden},
		"a wildcard for an id":    {`{"id":1,"op":"subscribe","channel":"room:*"}`, schemas.Forbidden},
		"all that is left for id": {`{"id":1,"op":"subscribe","channel":"room:>"}`, schemas.Forbidden},
		"another's inbox":         {`{"id":1,"op":"subscribe","channel":"user:talker"}`, schemas.Forbidden},
		"an id of another case":   {`{"id":1,"op":"subscribe","channel":"room:OF OTHERS"}`, schemas.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			s := welcomed(t, address, b.secret.Token(Identity{User: "mallory"}, tokenLasts))
			s.say(test.frame)
			refused := s.refusedWith()
			if code := schemas.Code(refused.Code); code != test.code || refused.Reason != code.Reason() || refused.Retry != code.Retry() {
				t.Errorf("refused with %d %s (retry %v): %s; want %d %s", refused.Code, refused.Reason, refused.Retry, refused.Message, test.code, test.code.Reason())
			}
			if !s.works() {
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
	good := b.secret.Token(Identity{User: "mallory"}, tokenLasts)
	hello := func(token string) string { return request(map[string]any{"op": "hello", "token": token}) }
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
			"another secret":         {[]string{hello(Secret("another secret that is long enough").Token(Identity{User: "mallory"}, tokenLasts))}, schemas.Unauthenticated},
			"an unsigned token":      {[]string{hello(unsigned)}, schemas.Unauthenticated},
			"an expired token":       {[]string{hello(b.secret.Token(Identity{User: "mallory"}, -time.Hour))}, schemas.TokenExpired},
			"a token that expires":   {[]string{hello(b.secret.Token(Identity{User: "mallory"}, 2*time.Second))}, schemas.TokenExpired},
			"an oversized frame":     {[]string{hello(good), request(map[string]any{"id": 1, "op": "publish", "data": strings.Repeat("x", 10<<20)})}, schemas.FrameTooLarge},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := connect(t, address)
				for _, frame := range test.frames {
					s.say(frame)
				}
				if code := s.closedWith(); code != test.code {
					t.Errorf("closed with %d, want %d %s", code, test.code, test.code.Reason())
				}
			})
		}
		t.Run("binary", func(t *testing.T) {
			t.Parallel()
			s := welcomed(t, address, good)
			s.send(websocket.MessageBinary, []byte{0, 1, 2})
			if code := s.closedWith(); code != schemas.Code(websocket.StatusUnsupportedData) {
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
	s := welcomed(t, address, b.secret.Token(Identity{User: "mallory"}, tokenLasts))
	for name, fields := range map[string]map[string]any{
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
		var answers []bridge.Error
		for _, channel := range []string{theirs, "room:of nobody"} {
			fields["id"], fields["channel"] = 1, channel
			s.say(request(fields))
			answers = append(answers, *s.refusedWith())
		}
		if code := schemas.Code(answers[0].Code); answers[0] != answers[1] || code != schemas.Forbidden && code != schemas.NotSubscribed {
			t.Errorf("%s: %+v of others' room, %+v of none", name, answers[0], answers[1])
		}
	}
	b.unharmed(0)
}

// TestReusedKey: a key answers for one request only.
func TestReusedKey(t *testing.T) {
	t.Parallel()
	b, address := besides(t, stack.Config{})
	s := welcomed(t, address, b.secret.Token(Identity{User: "listener"}, tokenLasts))
	say := func(id int, text string) any {
		s.say(request(map[string]any{
			"id": id, "op": "publish", "channel": theirs, "event": "new_message", "key": "one", "data": map[string]any{"text": text},
		}))
		return s.hear()
	}
	first, ok := say(1, "once").(*bridge.OK)
	if !ok || first.Seq == 0 {
		t.Fatalf("published: %+v", first)
	}
	if again, ok := say(2, "once").(*bridge.OK); !ok || again.Seq != first.Seq {
		t.Errorf("the same again was answered %+v, the first time %+v", again, first)
	}
	if refused, ok := say(3, "twice").(*bridge.Error); !ok || schemas.Code(refused.Code) != schemas.KeyReused {
		t.Errorf("another body under the key was answered %+v", refused)
	}
	b.unharmed(1)
}

// TestTooManyChannels subscribes to 1,500 channels: the first 500 are given, the
// rest are refused one by one.
func TestTooManyChannels(t *testing.T) {
	t.Parallel()
	const wanted, limit = 1_500, 500
	b, address := besides(t, stack.Config{})
	s := welcomed(t, address, b.secret.Token(Identity{User: "mallory"}, tokenLasts))
	var asking sync.WaitGroup
	asking.Go(func() {
		for id := range wanted {
			s.say(fmt.Sprintf(`{"id":%d,"op":"subscribe","channel":"app:%d"}`, id+1, id))
		}
	})
	given, refused := 0, map[schemas.Code]int{}
	for range wanted {
		switch heard := s.hear().(type) {
		case *bridge.OK:
			given++
		case *bridge.Error:
			refused[schemas.Code(heard.Code)]++
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
	w := newWorld(t, slack)
	w.start(stack.Config{Node: "stays"})
	leaving := w.start(stack.Config{Node: "leaves", Parts: []string{"bridge"}})
	host := w.client(Identity{User: "host"})
	w.run(host)
	_, _, err := host.Call(w.ctx, theirs, "open", chat.Open{Members: []string{"guest"}})
	w.check(err)
	w.check(host.Follow(w.ctx, theirs, FromFirst, false))
	// With two sessions, the goodbyes are spread over the drain: one hears of it
	// while the other is still there.
	var drained, refused int
	var guests sync.WaitGroup
	var mu sync.Mutex
	ready := make(chan struct{}, guestsOfDrain)
	for i := range guestsOfDrain {
		s := welcomed(t, leaving.HTTPAddr(), w.secret.Token(Identity{User: "guest"}, tokenLasts))
		guests.Go(func() {
			told, codes := s.publishUntilClosed(i, ready)
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
	w.disperse()
}

const guestsOfDrain = 10

// publishUntilClosed publishes, one after another, until the bridge hangs up. It
// sends on ready after the first answer.
func (s *stranger) publishUntilClosed(guest int, ready chan<- struct{}) (drains int, codes map[schemas.Code]int) {
	codes = map[schemas.Code]int{}
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for id := 1; ; id++ {
		<-pace.C
		s.say(request(map[string]any{
			"id": id, "op": "publish", "channel": theirs, "event": "new_message",
			"key": fmt.Sprintf("%d-%d", guest, id), "data": map[string]any{"text": "still here"},
		}))
		for answered := false; !answered; {
			switch heard := s.hear().(type) {
			case *bridge.Drain:
				drains++
			case *bridge.OK:
				answered = true
			case *bridge.Error:
				answered = heard.ID != 0
				codes[schemas.Code(heard.Code)]++
			case schemas.Code:
				if heard != schemas.Draining && heard != schemas.Code(websocket.StatusGoingAway) {
					s.t.Errorf("closed with %d", heard)
				}
				return drains, codes
			case error:
				if !errors.Is(heard, context.Canceled) {
					s.t.Error(heard)
				}
				return drains, codes
			}
		}
		if id == 1 {
			ready <- struct{}{}
		}
	}
}
