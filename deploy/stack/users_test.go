package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
	"github.com/latido/latido/subjects/seat"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// users of the containers, in an order in which they might start: what one needs may
// come after it.
var users = slices.Concat([]string{"bridge-1"}, services(), []string{"bridge-2", "topology"})

func services() (names []string) {
	for _, s := range stack.Services() {
		names = append(names, s.Name)
	}
	return names
}

func password(user string) string { return user + "-secret" }

// inbox is the prefix of a user's reply subjects, as compose.yaml has it.
func inbox(user string) string {
	if strings.HasPrefix(user, "bridge") {
		return "_INBOX_" + user
	}
	return "_INBOX"
}

// containers runs the server that deploy/nats configures, alone instead of as one
// of three, and every part on it as its own user.
func containers(t *testing.T) string {
	t.Helper()
	options := nodes(t, 1)[0]
	options.Cluster, options.Routes = server.ClusterOpts{}, nil
	url := serve(t, options)
	runContainers(t, url, 1)
	return url
}

// nodes reads the configuration of deploy/nats for some servers, which will listen on
// free ports. Not parallel: it takes its names and passwords from the environment.
func nodes(t *testing.T, count int) []*server.Options {
	t.Helper()
	for _, user := range append(users, "route", "operator") {
		t.Setenv("NATS_"+strings.ReplaceAll(strings.ToUpper(user), "-", "_")+"_PASSWORD", password(user))
	}
	routes := bustest.FreePorts(t, 3)
	for i, port := range routes {
		t.Setenv(fmt.Sprint("NATS_ROUTE_", i+1), fmt.Sprintf("nats://route:%s@127.0.0.1:%d", password("route"), port))
	}
	all, ports := make([]*server.Options, count), bustest.FreePorts(t, count)
	for i := range all {
		t.Setenv("NATS_NAME", fmt.Sprint("n", i+1))
		options, err := server.ProcessConfigFile(filepath.Join("..", "nats", "node.conf"))
		if err != nil {
			t.Fatal(err)
		}
		if !options.SyncAlways || options.Cluster.Name != "latido" || len(options.Routes) != 3 {
			t.Errorf("node.conf: sync always %v, cluster %q, %d routes", options.SyncAlways, options.Cluster.Name, len(options.Routes))
		}
		options.Host, options.Port, options.StoreDir, options.NoLog, options.NoSigs = "127.0.0.1", ports[i], t.TempDir(), true, true
		options.Cluster.Host, options.Cluster.Port = "127.0.0.1", routes[i]
		all[i] = options
	}
	return all
}

// serve starts a server, which ends with the test, and does not wait for it.
func serve(t *testing.T, options *server.Options) (url string) {
	t.Helper()
	running, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	running.Start()
	t.Cleanup(func() { running.Shutdown(); running.WaitForShutdown() })
	return fmt.Sprintf("nats://%s:%d", options.Host, options.Port)
}

// runContainers starts every part as its own user, all at once, and returns when
// all are ready.
func runContainers(t *testing.T, url string, replicas int) {
	t.Helper()
	var ending atomic.Bool
	var starting sync.WaitGroup
	for _, user := range users {
		cfg := config(t)
		part, _, _ := strings.Cut(user, "-")
		cfg.Parts, cfg.NATSURL, cfg.Node, cfg.AwaitLayout, cfg.Replicas = []string{part}, url, user, true, replicas
		cfg.NATSUser, cfg.NATSPassword, cfg.NATSInbox = user, password(user), inbox(user)
		cfg.Log = slog.New(complaints{t, &ending})
		starting.Go(func() { start(t, cfg) })
	}
	starting.Wait()
	t.Cleanup(func() { ending.Store(true) }) // before the stacks end
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
	if text == "NATS is not ready yet, trying again" {
		return nil // the layout comes when the part topology starts
	}
	record.Attrs(func(a slog.Attr) bool { text += fmt.Sprintf(" %s", a); return true })
	c.t.Errorf("logged: %s", text)
	return nil
}

func login(t *testing.T, url, user string, denied chan<- error) *nats.Conn {
	t.Helper()
	connection, err := nats.Connect(url, nats.UserInfo(user, password(user)), nats.CustomInboxPrefix(inbox(user)),
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
	bridge := login(t, url, "bridge-1", denied)

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
	t.Run("the bridge asks, and orders are served by all services", func(t *testing.T) { serveAnOrder(t, bridge, "order") })
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
		value := []byte(`{"user":"ana","ref":"s2","device":"web","node":"bridge-1","meta":{"activity":"active"}}`)
		accepted(t, ask(t, bridge, seat.Hold(subjects.PresenceKey("bridge-1", ana.Seat("ana", "s2")), value)))
		if _, err := cards.NextMsg(patience); err != nil {
			t.Fatal("waiting for ana's card:", err)
		}
		soon := time.Now().UTC().Add(6 * time.Second).Format(time.RFC3339Nano)
		accepted(t, ask(t, bridge, command(ana, "set_status", `{"status":"dnd","until":"`+soon+`"}`)))
		for status := ""; status != "online"; {
			fact, err := facts.NextMsg(patience)
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
	t.Run("bridges hear one another's live events, each once", func(t *testing.T) {
		hearOnce(t, "live.room.x", bridge, login(t, url, "bridge-2", denied))
	})
	t.Run("bridges hear which sessions have moved, each once", func(t *testing.T) {
		hearOnce(t, subjects.SessionMoved, bridge, login(t, url, "bridge-2", denied))
	})
	t.Run("an operator sees services and streams", func(t *testing.T) {
		operator := login(t, url, "operator", denied)
		inbox, err := operator.SubscribeSync(operator.NewInbox())
		if err != nil {
			t.Fatal(err)
		}
		if err := operator.PublishRequest("$SRV.PING", inbox.Subject, nil); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for len(seen) < len(services()) {
			answer, err := inbox.NextMsg(patience)
			if err != nil {
				t.Fatalf("saw %v: %v", seen, err)
			}
			var service struct{ Name string }
			if err := json.Unmarshal(answer.Data, &service); err != nil {
				t.Fatal(err)
			}
			seen[service.Name] = true
		}
		js, err := jetstream.New(operator, bustest.Patient)
		if err != nil {
			t.Fatal(err)
		}
		names := 0
		for range js.StreamNames(t.Context()).Name() {
			names++
		}
		if want := len(topology.Names(topology.Config{})); names != want {
			t.Errorf("%d streams of %d", names, want)
		}
	})
	select {
	case err := <-denied:
		t.Error("also denied:", err)
	default:
	}
}

// hearOnce has the first of some bridges tell something, which each of them must hear.
func hearOnce(t *testing.T, subject string, bridges ...*nats.Conn) {
	t.Helper()
	var heard []*nats.Subscription
	for _, nc := range bridges {
		subscription, err := nc.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		heard = append(heard, subscription)
	}
	for _, text := range []string{"first", "second"} {
		if err := bridges[0].Publish(subject, []byte(text)); err != nil {
			t.Fatal(err)
		}
		for _, subscription := range heard {
			if message, err := subscription.NextMsg(patience); err != nil || string(message.Data) != text {
				t.Errorf("heard %v %v instead of %s", message, err, text)
			}
		}
	}
}

// serveAnOrder has a request made and accepted, until ops has opened its room and its
// track.
func serveAnOrder(t *testing.T, bridge *nats.Conn, id string) {
	t.Helper()
	room, order := subjects.Channel{Kind: "room", ID: "of " + id}, subjects.Channel{Kind: "ops", ID: id}
	feed, err := bridge.SubscribeSync("feed.ops." + id)
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, ask(t, bridge, command(room, "open", `{"members":["ana"]}`)))
	accepted(t, ask(t, bridge, command(room, "post", `{"text":"hola"}`)))
	accepted(t, ask(t, bridge, command(order, "request", `{"zona":"centro","precio":5}`)))
	taking := command(order, "accept", `{}`)
	taking.Header.Set(subjects.HeaderProof, proof("luis", "operator"))
	taking.Header.Set(nats.MsgIdHdr, subjects.MessageID(order, "luis", "accept"))
	accepted(t, ask(t, bridge, taking))
	for event := ""; event != "assigned"; {
		fact, err := feed.NextMsg(patience)
		if err != nil {
			t.Fatal("waiting for the order to be assigned:", err)
		}
		event = subjects.Text(fact.Header, subjects.HeaderEvent)
	}
}

// Three servers that never ran before and all containers start at the same moment.
func TestContainersOnAFreshCluster(t *testing.T) {
	var urls []string
	for _, options := range nodes(t, 3) {
		urls = append(urls, serve(t, options))
	}
	runContainers(t, strings.Join(urls, ","), 3)
	for i, url := range urls {
		serveAnOrder(t, login(t, url, "bridge-1", make(chan error, 8)), fmt.Sprint("order", i))
	}
}

func ask(t *testing.T, connection *nats.Conn, message *nats.Msg) *nats.Msg {
	t.Helper()
	answer, err := connection.RequestMsg(message, patience)
	if err != nil {
		t.Fatalf("%s: %v", message.Subject, err)
	}
	return answer
}
