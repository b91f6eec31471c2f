package subjects_test

import (
	"strings"
	"testing"

	"github.com/latido/latido/subjects"
)

func TestParseChannel(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"room:42", "app:a:b.c *", "ops:", "x1:" + strings.Repeat("é", 100)} {
		channel, err := subjects.ParseChannel(name)
		if err != nil || channel.String() != name {
			t.Errorf("ParseChannel(%q) = %v, %v", name, channel, err)
		}
	}
	for _, name := range []string{"", "room", ":1", "Room:1", "ro om:1", "1a:x", "r.x:1", "room*:1", "room:" + strings.Repeat("a", 246)} {
		if channel, err := subjects.ParseChannel(name); err == nil {
			t.Errorf("ParseChannel(%q) = %v, want a refusal", name, channel)
		}
	}
}

func TestSubjectsComeBack(t *testing.T) {
	t.Parallel()
	c := subjects.Channel{Kind: "room", ID: "plaza mayor.7"}
	if got, name, err := subjects.ParseCommand(c.Command("post")); err != nil || got != c || name != "post" {
		t.Errorf("command: %v %q %v", got, name, err)
	}
	if service, got, name, err := subjects.ParseServiceCommand(c.ServiceCommand("ops", "open")); err != nil || service != "ops" || got != c || name != "open" {
		t.Errorf("service command: %q %v %q %v", service, got, name, err)
	}
	for _, subject := range []string{c.Command("post"), "svc.ops.room.42", "svc.Ops.room.42.open", "svc..room.42.open", "svc.ops.room.42.open.x", "svc.ops.room.a=2e.open"} {
		if service, _, _, err := subjects.ParseServiceCommand(subject); err == nil {
			t.Errorf("%s was taken for a command of %q", subject, service)
		}
	}
	roles := map[string]func(string) (subjects.Channel, error){
		c.Event(): subjects.ParseEvent, c.Feed(): subjects.ParseFeed,
	}
	for subject, parse := range roles {
		if got, err := parse(subject); err != nil || got != c {
			t.Errorf("%s: %v %v", subject, got, err)
		}
		for other, parseOther := range roles {
			if other != subject {
				if _, err := parseOther(subject); err == nil {
					t.Errorf("%s was taken for the role of %s", subject, other)
				}
			}
		}
	}
	if got, user, err := subjects.ParseMember(c.Member("a.b")); err != nil || got != c || user != "a.b" {
		t.Errorf("member: %v %q %v", got, user, err)
	}
	node, seat, err := subjects.ParsePresenceKey(subjects.PresenceKey("n.1", c.Seat("", "r1")))
	if err != nil || node != "n.1" {
		t.Errorf("node of a key: %q %v", node, err)
	}
	if got, user, ref, err := subjects.ParseSeat(seat); err != nil || got != c || user != "" || ref != "r1" {
		t.Errorf("presence: %v %q %q %v", got, user, ref, err)
	}
	id := subjects.MessageID(c, "ana", "k/1")
	if key := c.Key(id + "/2"); key != "k/1" {
		t.Errorf("key of %s: %q", id, key)
	}
	for _, other := range []string{"", "x", "room.7", subjects.MessageID(subjects.Channel{Kind: "room", ID: "8"}, "ana", "k"), "room." + subjects.Token(c.ID) + ".ana"} {
		if key := c.Key(other); key != "" {
			t.Errorf("key of %s: %q", other, key)
		}
	}
	if got, user, key, err := subjects.ParseMessageID(id + "/2"); err != nil || got != c || user != "ana" || key != "k/1" {
		t.Errorf("message id: %v %q %q %v", got, user, key, err)
	}
}

func TestAppKind(t *testing.T) {
	t.Parallel()
	if kind, err := subjects.AppKind("orders:durable"); err != nil || kind.Name != "orders" || kind.Stream != subjects.StreamApp {
		t.Errorf("orders:durable is %+v, %v", kind, err)
	}
	if kind, err := subjects.AppKind("cursors"); err != nil || kind.Durability != subjects.Live {
		t.Errorf("cursors is %+v, %v", kind, err)
	}
	for _, text := range []string{"", "room:durable", "Orders", "a.b", "orders:forever"} {
		if kind, err := subjects.AppKind(text); err == nil {
			t.Errorf("%q is %+v, want a refusal", text, kind)
		}
	}
}

func TestCatalogNamesKnownStreams(t *testing.T) {
	t.Parallel()
	for name, kind := range subjects.Catalog {
		if kind.Name != name {
			t.Errorf("%q is listed as %q", kind.Name, name)
		}
		if _, err := subjects.ParseChannel(name + ":1"); err != nil {
			t.Errorf("%q cannot be a kind", name)
		}
		if (kind.Durability == subjects.Durable) != (kind.Stream != "") {
			t.Errorf("%s: a stream if and only if it is durable", name)
		}
	}
}
