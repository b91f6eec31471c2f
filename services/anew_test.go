package services_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	chatschema "github.com/latido/latido/schemas/chat"
	schema "github.com/latido/latido/schemas/ops"
	presenceschema "github.com/latido/latido/schemas/presence"
	trackingschema "github.com/latido/latido/schemas/tracking"
	"github.com/latido/latido/services/chat"
	"github.com/latido/latido/services/internal/es"
	"github.com/latido/latido/services/internal/estest"
	"github.com/latido/latido/services/ops"
	"github.com/latido/latido/services/presence"
	"github.com/latido/latido/services/tracking"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// group is a channel with members beside those of an order.
var group = subjects.Channel{Kind: "group", ID: "1"}

// openings are, by kind, what makes a channel its sender's and, if it may be, that of
// somebody else.
var openings = map[subjects.Channel]struct {
	run      estest.Run
	command  string
	body     func(user string, others ...string) any
	together bool // it may be somebody else's, too
}{
	room: {chat.Run, "open", func(_ string, others ...string) any {
		return chatschema.Open{Members: append([]string{}, others...), Public: len(others) > 0}
	}, true},
	track: {tracking.Run, "open", func(user string, others ...string) any {
		return trackingschema.Open{Operator: user, Watchers: append([]string{}, others...), Public: len(others) > 0}
	}, true},
	order: {ops.Run, "request", func(string, ...string) any { return schema.Request{Zona: "centro", Precio: 12.5} }, false},
	group: {presence.Run, "create", func(_ string, others ...string) any {
		return presenceschema.Create{Members: append([]string{}, others...)}
	}, true},
}

// Who opens a channel whose facts are gone finds nobody there: those whom it belonged to
// are told nothing of what happens in it now.
func TestAChannelThatIsOpenedAnewIsNobodyElses(t *testing.T) {
	t.Parallel()
	for loss, lose := range map[string]func(*testing.T, estest.Caller, subjects.Channel){
		"purged": func(t *testing.T, caller estest.Caller, channel subjects.Channel) {
			t.Helper()
			stream, err := caller.JS.Stream(t.Context(), subjects.Catalog[channel.Kind].Stream)
			if err == nil {
				err = stream.Purge(t.Context(), jetstream.WithPurgeSubject(channel.Event()))
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		"made anew": func(t *testing.T, caller estest.Caller, channel subjects.Channel) {
			t.Helper()
			if err := caller.JS.DeleteStream(t.Context(), subjects.Catalog[channel.Kind].Stream); err != nil {
				t.Fatal(err)
			}
			if err := topology.Ensure(t.Context(), caller.JS, topology.Config{}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for channel, opening := range openings {
			for _, longer := range []bool{false, true} { // the past, than what is written anew
				name := channel.Kind + " " + loss
				if longer {
					name += " after more"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					bus := bustest.Start(t)
					estest.Replica(t, bus, opening.run)
					estest.Replica(t, bus, opening.run)
					caller := estest.NewCaller(t, bus)
					if other := channel; longer {
						other.ID = "2"
						caller.Do(es.Call{Channel: other, Command: opening.command, From: "olga", Key: "k", Body: opening.body("olga")})
					}
					var others []string
					if opening.together {
						others = []string{"luis", "eva"}
					}
					caller.Do(es.Call{Channel: channel, Command: opening.command, From: "ana", Key: "k", Body: opening.body("ana", others...)})
					lose(t, caller, channel)
					fresh := es.Call{Channel: channel, Command: opening.command, From: "eva", Key: "k2", Body: opening.body("eva")}
					seq := caller.Do(fresh)
					for _, user := range []string{"ana", "luis", ""} {
						if got := caller.Role(channel, user); got != "" {
							t.Errorf("%q is %q of what eva has opened", user, got)
						}
					}
					if got := caller.Role(channel, "eva"); got == "" {
						t.Error("eva is nobody in what she has opened")
					}
					if kept := caller.Membership(channel, "eva"); kept.Seq != seq {
						t.Errorf("eva is a member by the fact %d, want %d", kept.Seq, seq)
					}
					caller.Refused(schemas.Exists, es.Call{Channel: channel, Command: opening.command, From: "ana", Key: "k3", Body: opening.body("ana")})
				})
			}
		}
	}
}
