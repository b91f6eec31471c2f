package chat

import (
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/subjects"
)

// posting is a post of ana's as a bridge hands it on, which a row changes.
type posting struct {
	subject string
	header  nats.Header
}

// Whoever reaches the bus is believed nothing about a user but the user's token.
func TestForgedCommandsAreRefused(t *testing.T) {
	t.Parallel()
	caller := start(t)
	caller.Do(opening("luis"))
	room := subjects.Channel{Kind: "room", ID: "42"}
	proof := func(user, role string) []string { return []string{estest.Proof(user, role)} }
	id := func(c subjects.Channel, user string) []string { return []string{subjects.MessageID(c, user, "forged")} }
	for name, test := range map[string]struct {
		forge func(*posting)
		code  schemas.Code
	}{
		"headers alone": {func(p *posting) {
			p.header.Del(subjects.HeaderProof)
			subjects.SetText(p.header, subjects.HeaderFrom, "ana")
			subjects.SetText(p.header, subjects.HeaderRole, subjects.RoleService)
		}, schemas.Unauthenticated},
		"an empty proof": {func(p *posting) { p.header[subjects.HeaderProof] = []string{""} }, schemas.Unauthenticated},
		"a broken proof": {func(p *posting) { p.header[subjects.HeaderProof][0] += "x" }, schemas.Unauthenticated},
		"no member, beside headers of one": {func(p *posting) {
			p.header[subjects.HeaderProof], p.header[nats.MsgIdHdr] = proof("eve", ""), id(channel, "eve")
			subjects.SetText(p.header, subjects.HeaderFrom, "ana")
			subjects.SetText(p.header, subjects.HeaderRole, subjects.RoleService)
		}, schemas.Forbidden},
		"a member's other spelling": {func(p *posting) {
			p.header[subjects.HeaderProof], p.header[nats.MsgIdHdr] = proof("Ana", ""), id(channel, "Ana")
		}, schemas.Forbidden},
		"a member with a blank": {func(p *posting) {
			p.header[subjects.HeaderProof], p.header[nats.MsgIdHdr] = proof("ana ", ""), id(channel, "ana ")
		}, schemas.Unauthenticated},
		"a role with a blank": {func(p *posting) {
			p.header[subjects.HeaderProof], p.header[nats.MsgIdHdr] = proof("eve", "service "), id(channel, "eve")
		}, schemas.Forbidden},
		"a user like a service": {func(p *posting) {
			p.header[subjects.HeaderProof], p.header[nats.MsgIdHdr] = proof("service:ops", ""), id(channel, "service:ops")
		}, schemas.Unauthenticated},
		"another's message id":   {func(p *posting) { p.header[nats.MsgIdHdr] = id(channel, "luis") }, schemas.InvalidFrame},
		"another room's id":      {func(p *posting) { p.header[nats.MsgIdHdr] = id(room, "ana") }, schemas.InvalidFrame},
		"no message id":          {func(p *posting) { p.header.Del(nats.MsgIdHdr) }, schemas.InvalidFrame},
		"a service by the proof": {func(p *posting) { p.subject = channel.ServiceCommand("ops", "post") }, schemas.InvalidFrame},
		"no service at all":      {func(p *posting) { p.subject = "svc.OPS.room.42.post" }, schemas.UnknownKind},
	} {
		p := posting{channel.Command("post"), nats.Header{subjects.HeaderProof: proof("ana", ""), nats.MsgIdHdr: id(channel, "ana")}}
		test.forge(&p)
		answer, err := caller.Conn.RequestMsgWithContext(t.Context(), &nats.Msg{Subject: p.subject, Header: p.header, Data: []byte(`{"text":"forged"}`)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if code := answer.Header.Get(micro.ErrorCodeHeader); code != strconv.Itoa(int(test.code)) {
			t.Errorf("%s: answered %q %s, want %s", name, code, answer.Data, test.code.Reason())
		}
	}
	if names := caller.Names(channel); len(names) != 1 {
		t.Errorf("stored: %v", names)
	}
}

// A fact says who its author is by the token: the user as it is, the name as it is.
func TestFactsNameTheirAuthorByTheToken(t *testing.T) {
	t.Parallel()
	caller := start(t)
	for i, test := range []struct{ user, name string }{
		{"ana", "Ana María "}, {"a b", " "}, {"ñandú.x@y", "line\r\nbreak"}, {"jose\u0301", "José"}, {"josé", ""},
	} {
		room := subjects.Channel{Kind: "room", ID: strconv.Itoa(i)}
		token, err := estest.Verifier.Sign(test.user, test.name, "", 1e12)
		if err != nil {
			t.Fatal(err)
		}
		caller.Do(es.Call{Channel: room, Command: "open", From: test.user, Proof: token, Key: "k", Body: chat.Open{Members: []string{}}})
		header := caller.Facts(room)[0].Header
		if from, name := subjects.Text(header, subjects.HeaderFrom), subjects.Text(header, subjects.HeaderName); from != test.user || name != test.name {
			t.Errorf("%q, called %q, is stored as %q, called %q", test.user, test.name, from, name)
		}
		if header.Get(subjects.HeaderProof) != "" {
			t.Error("the token is stored")
		}
	}
	caller.Refused(schemas.Forbidden, es.Call{Channel: subjects.Channel{Kind: "room", ID: "3"}, Command: "post", From: "josé", Key: "k", Body: chat.Post{Text: "hola"}})
	if _, err := (es.Call{Channel: channel, Command: "open", From: "ana", Key: "k", Body: chat.Open{}}).Do(t.Context(), caller.Conn); err == nil {
		t.Error("a user without a token was taken")
	}
}

// A key that readers could not be told would be lost with its event.
func TestKeysAreLines(t *testing.T) {
	t.Parallel()
	caller := start(t)
	caller.Do(opening("bob"))
	for _, key := range []string{"a\nb", "\x01", "\x7f", "\u0085", "\xff", ""} {
		caller.Refused(schemas.InvalidFrame, call("ana", "post", key, chat.Post{Text: "hi"}))
	}
}
