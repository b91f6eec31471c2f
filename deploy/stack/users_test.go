package stack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
)

var users = []string{"bridge", "chat", "tracking", "ops", "presence"}

func password(user string) string { return user + "-secret" }

// containers runs the server that deploy/nats configures, alone instead of as
// one of three, and every part on it as its own user. Not parallel: the
// configuration takes its passwords from the environment.
func containers(t *testing.T) string {
	t.Helper()
	for _, user := range append(users, "route") {
		t.Setenv("NATS_"+strings.ToUpper(user)+"_PASSWORD", password(user))
	}
	t.Setenv("NATS_NAME", "n1")
	for i := range 3 {
		t.Setenv(fmt.Sprint("NATS_ROUTE_", i+1), fmt.Sprint("nats://127.0.0.1:", i+1))
	}
	options, err := server.ProcessConfigFile(filepath.Join("..", "nats", "node.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !options.SyncAlways || options.Cluster.Name != "latido" || len(options.Routes) != 3 {
		t.Errorf("node.conf: sync always %v, cluster %q, %d routes", options.SyncAlways, options.Cluster.Name, len(options.Routes))
	}
	options.Host, options.Port, options.StoreDir = "127.0.0.1", server.RANDOM_PORT, t.TempDir()
	options.Cluster, options.Routes, options.NoLog, options.NoSigs = server.ClusterOpts{}, nil, true, true
	bus, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	bus.Start()
	t.Cleanup(func() { bus.Shutdown(); bus.WaitForShutdown() })
	if !bus.ReadyForConnections(20 * time.Second) {
		t.Fatal("not ready")
	}
	var ending atomic.Bool
	for _, user := range []string{"chat", "tracking", "ops", "presence", "bridge"} {
		cfg := config(t)
		cfg.Parts, cfg.NATSURL = []string{user}, bus.ClientURL()
		cfg.NATSUser, cfg.NATSPassword, cfg.NATSInbox = user, password(user), "_INBOX_"+user
		cfg.Log = slog.New(complaints{t, &ending})
		start(t, cfg)
	}
	t.Cleanup(func() { ending.Store(true) }) // before the stacks end
	return bus.ClientURL()
}

// complaints fails the test for whatever a part finds worth a warning while it
// works, which is how a missing permission shows.
type complaints struct {
	t      *testing.T
	ending *atomic.Bool
}

func (c complaints) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && !c.ending.Load()
}
func (c complaints) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c complaints) WithGroup(string) slog.Handler      { return c }
func (c complaints) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(a slog.Attr) bool { text += fmt.Sprintf(" %s", a); return true })
	c.t.Errorf("logged: %s", text)
	return nil
}

func login(t *testing.T, url, user string, denied chan<- error) *nats.Conn {
	t.Helper()
	connection, err := nats.Connect(url, nats.UserInfo(user, password(user)), nats.CustomInboxPrefix("_INBOX_"+user),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	return connection
}

func TestUsersOfTheContainers(t *testing.T) {
	url := containers(t)
	denied := make(chan error, 1)
	bridge := login(t, url, "bridge", denied)

	t.Run("the bridge cannot write what others own", func(t *testing.T) {
		for _, subject := range []string{
			"evt.room.x", "evt.ops.x", "evt.user.x", "evt.global.system", "svc.ops.room.x.post", "svc.bridge.room.x.post", "feed.room.x", "due.ops.x.expire",
			"$KV.members.room.x.eve", "$JS.API.STREAM.UPDATE.ROOM", "$JS.API.STREAM.CREATE.MINE", "$JS.API.STREAM.PURGE.ROOM",
			"$JS.API.STREAM.DELETE.ROOM", "$JS.API.CONSUMER.CREATE.ROOM.x", "$JS.API.STREAM.MSG.DELETE.ROOM", "$SYS.REQ.SERVER.PING",
		} {
			if err := bridge.Publish(subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			refused(t, subject, denied)
		}
	})
	t.Run("the bridge cannot have others write for it", func(t *testing.T) {
		js, err := jetstream.New(bridge)
		if err != nil {
			t.Fatal(err)
		}
		own := nats.NewMsg("$KV.presence.b1.room.victim.eve.s1")
		subjects.SetText(own.Header, subjects.HeaderEvent, "room_closed")
		if _, err := js.PublishMsg(t.Context(), own); err != nil {
			t.Fatal(err)
		}
		victim := subjects.Channel{Kind: "room", ID: "victim"}
		echo := fmt.Appendf(nil, `{"last_by_subj":%q}`, own.Subject)
		for subject, request := range map[string][]byte{
			"$JS.API.DIRECT.GET.KV_presence":     echo,
			"$JS.API.STREAM.MSG.GET.KV_presence": echo,
			"$JS.API.STREAM.INFO.KV_presence":    nil,
			own.Subject:                          nil,
			victim.Command("post"):               nil,
		} {
			if err := bridge.PublishRequest(subject, victim.Event(), request); err != nil {
				t.Fatal(err)
			}
		}
		// The same requests once more, answered: so the first ones were, too.
		for _, subject := range []string{"$JS.API.DIRECT.GET.KV_presence", "$JS.API.STREAM.MSG.GET.KV_presence", victim.Command("post")} {
			ask(t, bridge, &nats.Msg{Subject: subject, Data: echo})
		}
		rooms, err := js.Stream(t.Context(), subjects.StreamRoom)
		if err != nil {
			t.Fatal(err)
		}
		if fact, err := rooms.GetLastMsgForSubject(t.Context(), victim.Event()); !errors.Is(err, jetstream.ErrMsgNotFound) {
			t.Errorf("forged: %v %v", fact, err)
		}
	})
	t.Run("the bridge cannot hear others' replies", func(t *testing.T) {
		for _, subject := range []string{"_INBOX_chat.>", "_INBOX.>", "cmd.>", "evt.>", ">"} {
			if _, err := bridge.SubscribeSync(subject); err != nil {
				t.Fatal(err)
			}
			refused(t, subject, denied)
		}
	})
	t.Run("the bridge reads many facts with one request", func(t *testing.T) {
		room := subjects.Channel{Kind: "room", ID: "long"}
		accepted(t, ask(t, bridge, command(room, "open", `{"members":["ana"]}`)))
		for i := range 50 {
			posting := command(room, "post", `{"text":"hola"}`)
			posting.Header.Set(nats.MsgIdHdr, subjects.MessageID(room, "ana", fmt.Sprint(i)))
			accepted(t, ask(t, bridge, posting))
		}
		last, err := history.Last(t.Context(), bridge, subjects.StreamRoom, room.Event())
		if err != nil {
			t.Fatal(err)
		}
		facts := 0
		_, err = history.Read(t.Context(), bridge, subjects.StreamRoom, room.Event(), 0, last, func(page history.Page) error {
			facts += len(page.Facts)
			return nil
		})
		if err != nil || facts != 51 {
			t.Errorf("read %d facts of 51: %v", facts, err)
		}
	})
	t.Run("the bridge asks, and orders are served by all services", func(t *testing.T) {
		feed, err := bridge.SubscribeSync("feed.ops.order")
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, ask(t, bridge, command(subjects.Channel{Kind: "room", ID: "x"}, "open", `{"members":["ana"]}`)))
		accepted(t, ask(t, bridge, command(subjects.Channel{Kind: "room", ID: "x"}, "post", `{"text":"hola"}`)))
		order := subjects.Channel{Kind: "ops", ID: "order"}
		accepted(t, ask(t, bridge, command(order, "request", `{"zona":"centro","precio":5}`)))
		taking := command(order, "accept", `{}`)
		taking.Header.Set(subjects.HeaderProof, proof("luis", "operator"))
		taking.Header.Set(nats.MsgIdHdr, subjects.MessageID(order, "luis", "accept"))
		accepted(t, ask(t, bridge, taking))
		for event := ""; event != "assigned"; {
			fact, err := feed.NextMsg(10 * time.Second)
			if err != nil {
				t.Fatal("waiting for the order to be assigned:", err)
			}
			event = subjects.Text(fact.Header, subjects.HeaderEvent)
		}
	})
	t.Run("the presence service keeps status, groups and cards", func(t *testing.T) {
		ana, team := subjects.Channel{Kind: "user", ID: "ana"}, subjects.Channel{Kind: "group", ID: "team"}
		facts, err := bridge.SubscribeSync(ana.Feed())
		if err != nil {
			t.Fatal(err)
		}
		cards, err := bridge.SubscribeSync(subjects.FeedPresence + subjects.GroupPresence("team").Present())
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, ask(t, bridge, command(team, "create", `{"members":[]}`)))
		accepted(t, ask(t, bridge, nats.NewMsg("$KV.nodes.b1")))
		value := []byte(`{"user":"ana","ref":"s2","device":"web","node":"b1","meta":{"activity":"active"}}`)
		accepted(t, ask(t, bridge, seat.Hold(subjects.PresenceKey("b1", ana.Seat("ana", "s2")), value)))
		if _, err := cards.NextMsg(10 * time.Second); err != nil {
			t.Fatal("waiting for ana's card:", err)
		}
		soon := time.Now().UTC().Add(time.Second).Format(time.RFC3339Nano)
		accepted(t, ask(t, bridge, command(ana, "set_status", `{"status":"dnd","until":"`+soon+`"}`)))
		for status := ""; status != "online"; {
			fact, err := facts.NextMsg(10 * time.Second)
			if err != nil {
				t.Fatal("waiting for the status to end:", err)
			}
			var changed struct{ Status string }
			if err := json.Unmarshal(fact.Data, &changed); err != nil {
				t.Fatal(err)
			}
			status = changed.Status
		}
		accepted(t, ask(t, bridge, command(team, "who", `{}`)))
	})
	t.Run("a service cannot write what others own", func(t *testing.T) {
		chat := login(t, url, "chat", denied)
		for _, subject := range []string{"evt.ops.x", "evt.user.x", "svc.ops.room.x.open", "cmd.room.x.post", "$KV.members.ops.x.eve", "$JS.API.STREAM.DELETE.ROOM", "$JS.API.STREAM.PURGE.OPS"} {
			if err := chat.Publish(subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			refused(t, subject, denied)
		}
	})
	select {
	case err := <-denied:
		t.Error("also denied:", err)
	default:
	}
}

// refused waits until the server has said no to the subject.
func refused(t *testing.T, subject string, denied <-chan error) {
	t.Helper()
	select {
	case err := <-denied:
		if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), subject) {
			t.Errorf("%s: %v", subject, err)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("%s is allowed", subject)
	}
}

func ask(t *testing.T, connection *nats.Conn, message *nats.Msg) *nats.Msg {
	t.Helper()
	answer, err := connection.RequestMsg(message, 5*time.Second)
	if err != nil {
		t.Fatalf("%s: %v", message.Subject, err)
	}
	return answer
}
