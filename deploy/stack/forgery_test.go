package stack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// attacker is a hijacked container: who it is, and what it may write.
type attacker struct {
	user string
	may  []string // prefixes of subjects
	// asks are requests that are answered, with what for: their answers are sent to
	// subjects that the attacker may not write.
	asks map[string]string
}

const lastFact = `{"last_by_subj":%q}`

var attackers = slices.Concat(known, others())

var known = []attacker{
	{"bridge-1", []string{"evt.app.", "$KV.presence.bridge-1.", "$KV.nodes.bridge-1", "$KV.tickets.", subjects.SessionMoved}, map[string]string{
		"$JS.API.DIRECT.GET.APP": fmt.Sprintf(lastFact, "evt.app.own"), "$JS.API.STREAM.MSG.GET.APP": fmt.Sprintf(lastFact, "evt.app.own"),
		"$JS.API.STREAM.INFO.ROOM": "", subjects.Lost(subjects.StreamRoom): "{}", "evt.app.own": forgedConfig, "$KV.presence.bridge-1.own": "{}", "cmd.room.own.open": "{}",
	}},
	{"chat", []string{"evt.room.", "$KV.members.room."}, map[string]string{
		"$JS.API.DIRECT.GET.ROOM": fmt.Sprintf(lastFact, "evt.room.own"), "$JS.API.STREAM.MSG.GET.ROOM": fmt.Sprintf(lastFact, "evt.room.own"),
		"$JS.API.CONSUMER.MSG.NEXT.ROOM.room-members": "", "$JS.API.CONSUMER.INFO.ROOM.room-members": "", "evt.room.own": forgedConfig,
	}},
	{"tracking", []string{"evt.tracking.", "$KV.members.tracking."}, map[string]string{
		"$JS.API.DIRECT.GET.TRACKING": fmt.Sprintf(lastFact, "evt.tracking.own"), "evt.tracking.own": forgedConfig,
		"$JS.API.CONSUMER.MSG.NEXT.TRACKING.tracking-members": "",
	}},
	{"ops", []string{"evt.ops.", "evt.global.", "due.ops.", "$KV.members.ops."}, map[string]string{
		"$JS.API.DIRECT.GET.OPS": fmt.Sprintf(lastFact, "evt.ops.own"), "evt.ops.own": forgedConfig, "svc.ops.room.own.open": "{}",
	}},
	{"presence", []string{"evt.user.", "evt.group.", "due.user.", "fired.user.", "$KV.members.group.", "$KV.quiet.", "$KV.presence.service=3Apresence.", "$KV.nodes.service=3Apresence"}, map[string]string{
		"$JS.API.DIRECT.GET.USER": fmt.Sprintf(lastFact, "evt.user.own"), "evt.user.own": forgedConfig,
	}},
	{"operator", nil, map[string]string{"$JS.API.DIRECT.GET.ROOM": fmt.Sprintf(lastFact, "evt.room.kept"), "$SRV.PING": ""}},
}

// others are the services that are not known above: each may write the facts and the
// members of its kinds.
func others() (all []attacker) {
	for _, name := range services() {
		if slices.ContainsFunc(known, func(a attacker) bool { return a.user == name }) {
			continue
		}
		a := attacker{user: name, asks: make(map[string]string)}
		for _, kind := range subjects.KindsOf(name) {
			a.may = append(a.may, "evt."+kind+".", "$KV.members."+kind+".")
			a.asks["evt."+kind+".own"] = forgedConfig
			a.asks["$JS.API.DIRECT.GET."+subjects.Catalog[kind].Stream] = fmt.Sprintf(lastFact, "evt."+kind+".own")
		}
		all = append(all, a)
	}
	return all
}

// forgedConfig is a fact that reads as a stream's configuration, too.
const forgedConfig = `{"name":"FORGED","subjects":["forged.>"],"storage":"file","republish":{"src":"forged.>","dest":"evt.forged"},"seq":1000}`

// targets are subjects that each belong to somebody.
var targets = append(owned(), "evt.app.forged",
	"due.ops.forged.deadline", "due.user.forged.deadline", "fired.user.forged.deadline",
	"$KV.quiet.forged", "$KV.presence.bridge-1.room.forged.eve.s", "$KV.presence.bridge-2.room.forged.eve.s", "$KV.presence.service=3Apresence.forged",
	"$KV.nodes.forged", "$KV.nodes.bridge-2", "$KV.tickets.forged",
)

// owned are facts and members of every kind that a service owns.
func owned() (all []string) {
	for _, name := range services() {
		for _, kind := range subjects.KindsOf(name) {
			all = append(all, "evt."+kind+".forged", "$KV.members."+kind+".forged.eve")
		}
	}
	return all
}

// told are subjects on which bridges hear what happened.
var told = []string{
	"feed.room.forged", "feed.ops.forged", "presence.bridge-2.room.forged.eve.s", "nodes.forged", "members.room.forged.eve",
	subjects.SessionMoved,
	"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.FORGED",
}

// what declares, removes or moves streams and consumers.
func declarations() map[string]string {
	all := map[string]string{
		"$JS.API.STREAM.CREATE.FORGED": forgedConfig, "$JS.API.STREAM.RESTORE.FORGED": forgedConfig, "$JS.API.ACCOUNT.PURGE.HUB": "", "$JS.API.SERVER.REMOVE": "",
	}
	for _, stream := range topology.Names(topology.Config{}) {
		all["$JS.API.STREAM.UPDATE."+stream] = fmt.Sprintf(`{"name":%q,"subjects":["forged.%s"]}`, stream, stream)
		all["$JS.API.STREAM.PURGE."+stream] = ""
		all["$JS.API.STREAM.DELETE."+stream] = ""
		all["$JS.API.STREAM.MSG.DELETE."+stream] = `{"seq":1}`
		all["$JS.API.STREAM.LEADER.STEPDOWN."+stream] = ""
		all["$JS.API.STREAM.SNAPSHOT."+stream] = `{"deliver_subject":"evt.ops.forged"}`
		all["$JS.API.CONSUMER.CREATE."+stream] = fmt.Sprintf(`{"stream_name":%q,"config":{"deliver_subject":"evt.ops.forged","ack_policy":"none"}}`, stream)
		all["$JS.API.CONSUMER.CREATE."+stream+".forged"] = fmt.Sprintf(`{"stream_name":%q,"config":{"name":"forged","deliver_subject":"evt.ops.forged","ack_policy":"none"}}`, stream)
		all["$JS.API.CONSUMER.DURABLE.CREATE."+stream+".forged"] = fmt.Sprintf(`{"stream_name":%q,"config":{"durable_name":"forged","deliver_subject":"evt.ops.forged","ack_policy":"none"}}`, stream)
	}
	for _, consumer := range topology.Consumers() {
		all["$JS.API.CONSUMER.DELETE."+consumer.Stream+"."+consumer.Config.Durable] = ""
	}
	return all
}

// Whoever takes a container over can do what that container does, and nothing that
// others do: not by itself, not by having the server answer elsewhere.
func TestHijackedContainersCannotForge(t *testing.T) {
	url := containers(t)
	witness := newWitness(t, url)
	for _, a := range attackers {
		t.Run(a.user, func(t *testing.T) {
			nc, err := nats.Connect(url, nats.UserInfo(a.user, password(a.user)), nats.CustomInboxPrefix(inbox(a.user)), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(nc.Close)
			a.directly(t, nc)
			a.byReply(t, nc)
			a.byRollup(t, nc)
			a.bySchedule(t, nc)
			if err := nc.FlushTimeout(patience); err != nil {
				t.Fatal(err)
			}
			witness.check(t, a)
		})
	}
}

func (a attacker) owns(subject string) bool {
	return slices.ContainsFunc(a.may, func(prefix string) bool { return strings.HasPrefix(subject, prefix) })
}

func (a attacker) directly(t *testing.T, nc *nats.Conn) {
	t.Helper()
	for _, subject := range slices.Concat(targets, told) {
		if !a.owns(subject) {
			a.send(t, nc, &nats.Msg{Subject: subject, Data: []byte(`{"role":"admin"}`)})
		}
	}
	if room := (subjects.Channel{Kind: "room", ID: "forged"}); !slices.Contains([]string{"ops", "chat"}, a.user) {
		a.send(t, nc, &nats.Msg{Subject: room.ServiceCommand("ops", "open"), Data: []byte(`{"members":["eve"]}`), Header: nats.Header{
			jetstream.MsgIDHeader: {subjects.MessageID(room, "service:ops", a.user)},
		}})
	}
	for subject, body := range declarations() {
		a.send(t, nc, &nats.Msg{Subject: subject, Data: []byte(body), Reply: nc.NewRespInbox()})
	}
}

// byReply has the answers to what it may ask sent to what it may not write.
func (a attacker) byReply(t *testing.T, nc *nats.Conn) {
	t.Helper()
	own := "evt.none"
	for subject := range a.asks {
		if strings.HasPrefix(subject, "evt.") {
			own = subject
		}
	}
	if a.owns(own) {
		if answer, err := nc.Request(own, []byte(forgedConfig), patience); err != nil {
			t.Fatalf("its own fact: %v %v", answer, err)
		}
	}
	for ask, body := range a.asks {
		within := patience
		next := strings.Contains(ask, "MSG.NEXT") // which waits for a message
		if next {
			within = time.Second
		}
		if _, err := nc.Request(ask, []byte(body), within); err != nil && !next {
			t.Errorf("%s is not answered, so it proves nothing: %v", ask, err)
		}
		for _, reply := range slices.Concat(targets, told, slices.Collect(maps.Keys(declarations()))) {
			if !a.owns(reply) {
				a.send(t, nc, &nats.Msg{Subject: ask, Reply: reply, Data: []byte(body)})
			}
		}
	}
}

// byRollup writes what it may, and has it replace what it may not.
func (a attacker) byRollup(t *testing.T, nc *nats.Conn) {
	t.Helper()
	for _, subject := range []string{"$KV.presence.bridge-1.own", "$KV.nodes.bridge-1", "$KV.tickets.own", "$KV.members.room.own.x", "$KV.members.ops.own.x", "$KV.members.group.own.x", "$KV.quiet.own", "evt.room.own", "evt.tracking.own", "evt.app.own"} {
		for _, how := range []string{jetstream.MsgRollupAll, jetstream.MsgRollupSubject} {
			if a.owns(subject) {
				a.send(t, nc, &nats.Msg{Subject: subject, Data: []byte("{}"), Header: nats.Header{jetstream.MsgRollup: {how}}})
			}
		}
	}
}

// bySchedule has a message that is due sent to what it may not write.
func (a attacker) bySchedule(t *testing.T, nc *nats.Conn) {
	t.Helper()
	for _, subject := range []string{"due.ops.own.deadline", "due.user.own.deadline", "evt.room.own"} {
		for _, target := range targets {
			if a.owns(subject) && !a.owns(target) {
				a.send(t, nc, &nats.Msg{Subject: subject, Data: []byte("{}"), Header: nats.Header{
					"Nats-Schedule": {"@at 2020-01-01T00:00:00Z"}, "Nats-Schedule-Target": {target},
				}})
			}
		}
	}
}

func (a attacker) send(t *testing.T, nc *nats.Conn, message *nats.Msg) {
	t.Helper()
	if err := nc.PublishMsg(message); err != nil {
		t.Fatal(err)
	}
}

// witness sees everything and takes no part.
type witness struct {
	js   jetstream.JetStream
	told chan *nats.Msg // to a bridge
}

// kept are entries that must outlive every attack, one of each user.
var kept = keptBy()

func keptBy() map[string]string {
	all := map[string]string{"bridge-2": "evt.app.kept"}
	for _, name := range services() {
		all[name] = "evt." + subjects.KindsOf(name)[0] + ".kept"
	}
	return all
}

func newWitness(t *testing.T, url string) witness {
	t.Helper()
	for user, subject := range kept {
		nc := login(t, url, user, make(chan error, 8))
		if _, err := nc.Request(subject, []byte("{}"), patience); err != nil {
			t.Fatal(subject, err)
		}
	}
	presence := login(t, url, "presence", make(chan error, 8))
	for _, subject := range []string{"$KV.quiet.kept", "$KV.members.group.kept.ana"} {
		if _, err := presence.Request(subject, []byte(`{"role":"kept"}`), patience); err != nil {
			t.Fatal(subject, err)
		}
	}
	js, err := jetstream.New(login(t, url, "topology", make(chan error, 8)), bustest.Patient)
	if err != nil {
		t.Fatal(err)
	}
	other, heard := login(t, url, "bridge-2", make(chan error, 8)), make(chan *nats.Msg, 1024)
	for _, subject := range told {
		if _, err := other.ChanSubscribe(subject, heard); err != nil {
			t.Fatal(err)
		}
	}
	if err := other.Flush(); err != nil {
		t.Fatal(err)
	}
	return witness{js, heard}
}

// check looks for what was forged and for what is missing. The attacker's own last
// request has been answered by then, and the server takes a connection's in order.
func (w witness) check(t *testing.T, a attacker) {
	t.Helper()
	subjectsNow := make(map[string]bool)
	for _, name := range topology.Names(topology.Config{}) {
		stream, err := w.js.Stream(t.Context(), name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for subject := range info.State.Subjects {
			subjectsNow[subject] = true
		}
		if info.State.NumDeleted > 0 && !slices.Contains([]string{"KV_presence", "KV_nodes", "KV_members", "KV_quiet", subjects.StreamUser, subjects.StreamOps}, name) {
			t.Errorf("%s: %d messages were removed", name, info.State.NumDeleted)
		}
	}
	for subject := range subjectsNow {
		if slices.Contains(targets, subject) && subject != "$KV.nodes.bridge-2" {
			t.Errorf("%s was forged by %s", subject, a.user)
		}
	}
	for _, subject := range slices.Concat(slices.Collect(maps.Values(kept)), []string{"$KV.quiet.kept", "$KV.members.group.kept.ana"}) {
		if !subjectsNow[subject] {
			t.Errorf("%s was removed by %s", subject, a.user)
		}
	}
	for len(w.told) > 0 {
		t.Errorf("a bridge was told %s by %s", (<-w.told).Subject, a.user)
	}
	if _, err := w.js.Stream(t.Context(), "FORGED"); err == nil {
		t.Error("a stream was made")
	}
	for _, consumer := range topology.Consumers() {
		if _, err := w.js.Consumer(t.Context(), consumer.Stream, consumer.Config.Durable); err != nil {
			t.Errorf("consumer %s: %v", consumer.Config.Durable, err)
		}
	}
}
