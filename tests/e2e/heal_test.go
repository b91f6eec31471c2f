package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
	"github.com/latido/latido/tests/kit"
)

// conversation is a room on a bus that a test can hurt, with one who talks through one
// bridge and some who listen through another.
type conversation struct {
	*world
	channel   string
	deaf      string     // the address of the listeners' bridge
	proxy     *kit.Proxy // between the listeners' bridge and the bus
	talker    *kit.Client
	listeners []*kit.Client
	stop      context.CancelFunc
	talking   sync.WaitGroup
}

// newConversation opens a room on the world's bus. The parts decide which node hosts
// what; "deaf" must be a bridge, and is where the listeners are.
func newConversation(w *world, listeners int) *conversation {
	w.T.Helper()
	s := &conversation{world: w, channel: "room:heal"}
	cfg := stack.Config{Node: "speaks"}
	cfg.Limits.Publishes, cfg.Limits.UserPublishes = 100_000, 100_000
	speaks := w.start(cfg).HTTPAddr()
	s.proxy = w.Proxy(w.Bus.Servers[0].ClientURL())
	far := stack.Config{Node: "deaf", Parts: []string{"bridge"}, NATSURL: s.proxy.URL()}
	far.Limits.Work, far.Limits.UserWork = 100_000, 100_000
	s.deaf = w.start(far).HTTPAddr()
	at := func(address, user string) *kit.Client {
		return w.Client(kit.ClientConfig{Who: kit.Identity{User: user}, Bridges: []string{address}})
	}
	s.talker = at(speaks, "talker")
	members := []string{}
	for i := range listeners {
		s.listeners = append(s.listeners, at(s.deaf, fmt.Sprintf("listener %d", i)))
		members = append(members, s.listeners[i].User())
	}
	w.Run(s.talker)
	if _, _, err := s.talker.Call(w.Ctx, s.channel, "open", chat.Open{Members: members}); err != nil {
		w.T.Fatal(err)
	}
	for _, client := range append(s.listeners, s.talker) {
		if client != s.talker {
			w.Run(client)
		}
		w.Check(client.Follow(w.Ctx, s.channel, kit.FromFirst, false))
	}
	return s
}

// talk publishes until hush, as fast as it is answered but for the pace.
func (s *conversation) talk(pace time.Duration) {
	ctx, stop := context.WithCancel(s.Ctx)
	s.stop = stop
	for range voices {
		s.talking.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				<-ticker.C
				if !s.Check(s.say(n)) {
					return
				}
			}
		})
	}
}

// voices is how many messages of the talker may be on their way at once.
const voices = 4

func (s *conversation) say(n int) error {
	_, _, err := s.talker.Publish(s.Ctx, s.channel, "new_message", chat.Post{Text: fmt.Sprint(n)})
	return err
}

func (s *conversation) hush() { s.stop(); s.talking.Wait() }

// whole judges, and demands that no listener's socket was closed.
func (s *conversation) whole(connections int) {
	s.T.Helper()
	s.settle(&counts{})
	for _, client := range s.listeners {
		if tally := client.Tally(); tally.Connections != connections {
			s.T.Errorf("%s needed %d connections, want %d", client.User(), tally.Connections, connections)
		}
	}
	s.StopClients()
}

// deafen breaks the bridge's NATS connections of a purpose, on the server's side.
func (s *conversation) deafen(purpose string) int {
	broken := 0
	for _, server := range s.Bus.Servers {
		if !server.Running() {
			continue
		}
		connections, err := server.Connz(nil)
		if !s.Check(err) {
			return 0
		}
		for _, connection := range connections.Conns {
			if strings.HasPrefix(connection.Name, "latido deaf bridge "+purpose) && s.Check(server.DisconnectClientByID(connection.Cid)) {
				broken++
			}
		}
	}
	return broken
}

// TestBridgeLosesItsBus breaks each of a bridge's connections to NATS, in turn and
// all at once, while others publish: the sockets stay open, and nothing is lost.
func TestBridgeLosesItsBus(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slack, bustest.Start(t))
	s := newConversation(w, 3)
	s.talk(time.Millisecond)
	for i, purpose := range []string{"live", "publish", "replay", ""} {
		w.Until(func() bool { return s.deafen(purpose) > 0 }) // once it is connected again
		if purpose != "live" && purpose != "" {
			continue
		}
		for _, client := range s.listeners {
			w.Check(client.Told(w.Ctx, i/3+1, i/3+1))
		}
	}
	s.hush()
	for _, client := range s.listeners {
		w.Check(client.Told(w.Ctx, client.Tally().Degraded, client.Tally().Degraded)) // more than twice where the machine stalls
	}
	s.whole(1)
}

// TestFeedLosesMessages has every third delivery of the feed lost while nothing
// breaks: their successors reveal it, the bridge reads what is missing.
func TestFeedLosesMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slack, bustest.Start(t))
	s := newConversation(w, 3)
	var delivered atomic.Int64
	s.proxy.DropIf(func(subject string) bool { return strings.HasPrefix(subject, "feed.room.") && delivered.Add(1)%3 == 0 })
	s.talk(time.Millisecond)
	w.Until(func() bool { return delivered.Load() > 600 })
	s.hush()
	s.proxy.DropIf(nil)
	w.Check(s.say(-1)) // reveals the loss of the last one
	if dropped := s.proxy.Dropped(); dropped < 200 {
		t.Errorf("%d deliveries were lost", dropped)
	}
	for _, client := range s.listeners {
		if tally := client.Tally(); tally.Degraded > 0 {
			t.Errorf("%s was told degraded", client.User())
		}
	}
	s.whole(1)
}

// TestLastMessageIsLost loses the last messages of a channel: no successor
// reveals it. The bridge has to ask, after its reconnect and now and then.
func TestLastMessageIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slack, bustest.Start(t))
	s := newConversation(w, 2)
	lose := func() {
		dropped := s.proxy.Dropped()
		s.proxy.DropIf(func(subject string) bool { return strings.HasPrefix(subject, "feed.room.") })
		w.Check(s.say(0))
		w.Until(func() bool { return s.proxy.Dropped() > dropped })
		s.proxy.DropIf(nil)
	}
	caughtUp := func() {
		truth, err := kit.ReadTruth(w.Ctx, w.NATS, subjects.StreamRoom)
		w.Check(err)
		for _, client := range s.listeners {
			w.Check(client.Reach(w.Ctx, s.channel, truth.Last(s.channel)))
		}
	}
	for round := range 3 {
		lose()
		s.deafen("live")
		caughtUp()
		for _, client := range s.listeners {
			w.Check(client.Told(w.Ctx, round+1, round+1))
			if restored := client.Tally().Restored; restored != round+1 {
				t.Errorf("%s was told restored %d times", client.User(), restored)
			}
		}
	}
	if !testing.Short() { // now and then is every 30 s
		for range 3 { // the first ones may still be found by what follows the reconnect
			lose()
			caughtUp()
		}
	}
	s.whole(1)
}

// TestServersRestart takes the servers of a cluster away one by one while others
// publish.
func TestServersRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slack, bustest.StartCluster(t))
	s := newConversation(w, 3)
	s.talk(5 * time.Millisecond)
	for i := range w.Bus.Servers {
		w.Bus.Kill(i)
		w.Bus.Restart(t, i)
		if !w.Until(w.clusterWhole) {
			break
		}
	}
	s.hush()
	s.whole(1)
}

// TestSpliceRace subscribes again and again while others publish without a
// pause: at the seam of history and live nothing is lost and nothing comes twice.
func TestSpliceRace(t *testing.T) {
	t.Parallel()
	times := 2000
	if testing.Short() {
		times = 400
	}
	const clients = 8
	w := newWorld(t, slack, bustest.Start(t))
	s := newConversation(w, clients)
	s.talk(time.Millisecond)
	var splicing sync.WaitGroup
	for _, client := range s.listeners {
		splicing.Go(func() {
			for range times / clients {
				w.Check(client.Unfollow(w.Ctx, s.channel))
				if !w.Check(client.Follow(w.Ctx, s.channel, kit.FromFirst, false)) {
					return
				}
			}
		})
	}
	splicing.Wait()
	s.hush()
	s.whole(1)
}

// TestDropsWithoutTraffic drops clients three times with nothing said meanwhile:
// what came after the first return must not come again after the others.
func TestDropsWithoutTraffic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slack, bustest.Start(t))
	s := newConversation(w, 4)
	for n := range 20 {
		w.Check(s.say(n))
	}
	for drop := range 3 {
		if drop == 0 {
			s.talk(time.Millisecond)
		}
		for i, client := range s.listeners {
			client.Cut(i%2 == 0)
		}
		if drop == 0 {
			s.hush()
		}
		for _, client := range s.listeners {
			w.Check(client.Back(w.Ctx, drop+2))
		}
	}
	w.Check(s.say(20))
	s.whole(4)
}

// TestCutWhileTracking: sockets that break off while their track is under way
// take nothing from those who listen on the same channel, also a while later.
func TestCutWhileTracking(t *testing.T) {
	t.Parallel()
	const others, rounds = 20, 10
	w := newWorld(t, slack, bustest.Start(t))
	s := newConversation(w, 2)
	hello := bridge.Hello{Token: w.Secret.Token(kit.Identity{User: s.listeners[0].User()})}
	for range rounds {
		var breaking []*kit.RawClient
		for range others {
			breaking = append(breaking, kit.Welcomed(t, s.deaf, hello))
		}
		for i, other := range breaking {
			for id := range 40 {
				other.Send(kit.Frame{"id": id + 1, "op": "track", "channel": s.channel, "meta": i})
			}
			other.Next() // the first is answered, the next is under way
			other.CloseNow()
		}
	}
	pace := time.NewTicker(500 * time.Millisecond)
	defer pace.Stop()
	for n := range 30 { // longer than a bridge keeps a channel that nobody uses
		<-pace.C
		w.Check(s.say(n))
	}
	s.whole(1)
}
