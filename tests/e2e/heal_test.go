package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology/bustest"
)

// stage is a room on a bus that a test can hurt, with one who talks through one
// bridge and some who listen through another.
type stage struct {
	*world
	channel   string
	proxy     *proxy // between the listeners' bridge and the bus
	talker    *Client
	listeners []*Client
	stop      context.CancelFunc
	talking   sync.WaitGroup
}

// newStage opens a room on the world's bus. The parts decide which node hosts
// what; "deaf" must be a bridge, and is where the listeners are.
func newStage(w *world, listeners int) *stage {
	w.t.Helper()
	s := &stage{world: w, channel: "room:heal"}
	cfg := stack.Config{Node: "speaks"}
	cfg.Limits.Publishes, cfg.Limits.UserPublishes = 100_000, 100_000
	speaks := w.start(cfg).HTTPAddr()
	s.proxy = startProxy(w.t, w.bus.Servers[0].ClientURL())
	far := stack.Config{Node: "deaf", Parts: []string{"bridge"}, NATSURL: s.proxy.url()}
	far.Limits.Work, far.Limits.UserWork = 100_000, 100_000
	deaf := w.start(far).HTTPAddr()
	at := func(address, user string) *Client {
		w.bridges = []string{address}
		return w.client(Identity{User: user})
	}
	s.talker = at(speaks, "talker")
	members := []string{}
	for i := range listeners {
		s.listeners = append(s.listeners, at(deaf, fmt.Sprintf("listener %d", i)))
		members = append(members, s.listeners[i].User())
	}
	w.run(s.talker)
	if _, _, err := s.talker.Call(w.ctx, s.channel, "open", chat.Open{Members: members}); err != nil {
		w.t.Fatal(err)
	}
	for _, client := range append(s.listeners, s.talker) {
		if client != s.talker {
			w.run(client)
		}
		w.check(client.Follow(w.ctx, s.channel, FromFirst, false))
	}
	return s
}

// talk publishes until hush, as fast as it is answered but for the pace.
func (s *stage) talk(pace time.Duration) {
	ctx, stop := context.WithCancel(s.ctx)
	s.stop = stop
	for range voices {
		s.talking.Go(func() {
			ticker := time.NewTicker(pace)
			defer ticker.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				<-ticker.C
				if !s.check(s.say(n)) {
					return
				}
			}
		})
	}
}

// voices is how many messages of the talker may be on their way at once.
const voices = 4

func (s *stage) say(n int) error {
	_, _, err := s.talker.Publish(s.ctx, s.channel, "new_message", chat.Post{Text: fmt.Sprint(n)})
	return err
}

func (s *stage) hush() { s.stop(); s.talking.Wait() }

// whole judges, and demands that no listener's socket was closed.
func (s *stage) whole(connections int) {
	s.t.Helper()
	s.settle(&counts{})
	for _, client := range s.listeners {
		if tally := client.Tally(); tally.Connections != connections {
			s.t.Errorf("%s needed %d connections, want %d", client.User(), tally.Connections, connections)
		}
	}
	s.disperse()
}

// deafen breaks the bridge's NATS connections of a purpose, on the server's side.
func (s *stage) deafen(purpose string) int {
	broken := 0
	for _, server := range s.bus.Servers {
		if !server.Running() {
			continue
		}
		connections, err := server.Connz(nil)
		if !s.check(err) {
			return 0
		}
		for _, connection := range connections.Conns {
			if strings.HasPrefix(connection.Name, "latido deaf bridge "+purpose) && s.check(server.DisconnectClientByID(connection.Cid)) {
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
	w := newWorld(t, slack)
	w.bus = bustest.Start(t)
	s := newStage(w, 3)
	s.talk(time.Millisecond)
	for i, purpose := range []string{"live", "publish", "replay", ""} {
		if s.deafen(purpose) == 0 {
			t.Errorf("no connection for %q", purpose)
		}
		if purpose != "live" && purpose != "" {
			continue
		}
		for _, client := range s.listeners {
			err := client.await(w.ctx, func() bool { return client.tally.Restored > i/3 && client.tally.Restored == client.tally.Degraded })
			w.check(err)
		}
	}
	s.hush()
	for _, client := range s.listeners {
		if tally := client.Tally(); tally.Degraded != 2 || tally.Restored != 2 {
			t.Errorf("%s was told degraded %d times and restored %d times", client.User(), tally.Degraded, tally.Restored)
		}
	}
	s.whole(1)
}

// TestFeedLosesMessages has every third delivery of the feed lost while nothing
// breaks: their successors reveal it, the bridge reads what is missing.
func TestFeedLosesMessages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, slack)
	w.bus = bustest.Start(t)
	s := newStage(w, 3)
	var delivered atomic.Int64
	s.proxy.loseIf(func(subject string) bool { return strings.HasPrefix(subject, "feed.room.") && delivered.Add(1)%3 == 0 })
	s.talk(time.Millisecond)
	w.until(func() bool { return delivered.Load() > 600 })
	s.hush()
	s.proxy.loseIf(func(string) bool { return false })
	w.check(s.say(-1)) // reveals the loss of the last one
	if dropped := s.proxy.dropped.Load(); dropped < 200 {
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
	w := newWorld(t, slack)
	w.bus = bustest.Start(t)
	s := newStage(w, 2)
	lose := func() {
		dropped := s.proxy.dropped.Load()
		s.proxy.loseIf(func(subject string) bool { return strings.HasPrefix(subject, "feed.room.") })
		w.check(s.say(0))
		w.until(func() bool { return s.proxy.dropped.Load() > dropped })
		s.proxy.loseIf(func(string) bool { return false })
	}
	caughtUp := func() {
		truth, err := ReadTruth(w.ctx, w.nc, subjects.StreamRoom)
		w.check(err)
		for _, client := range s.listeners {
			w.check(client.Reach(w.ctx, s.channel, truth.last(s.channel)))
		}
	}
	for round := range 3 {
		lose()
		s.deafen("live")
		caughtUp()
		for _, client := range s.listeners {
			w.check(client.await(w.ctx, func() bool { return client.tally.Restored == round+1 }))
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
	w := newWorld(t, slack)
	w.bus = bustest.StartCluster(t)
	s := newStage(w, 3)
	s.talk(5 * time.Millisecond)
	for i := range w.bus.Servers {
		w.bus.Kill(i)
		w.bus.Restart(t, i)
		if !w.until(w.clusterWhole) {
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
	w := newWorld(t, slack)
	w.bus = bustest.Start(t)
	s := newStage(w, clients)
	s.talk(time.Millisecond)
	var splicing sync.WaitGroup
	for _, client := range s.listeners {
		splicing.Go(func() {
			for range times / clients {
				if err := client.Unfollow(w.ctx, s.channel); err != nil && !errors.Is(err, errGone) {
					w.check(err)
				}
				if !w.check(client.Follow(w.ctx, s.channel, FromFirst, false)) {
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
	w := newWorld(t, slack)
	w.bus = bustest.Start(t)
	s := newStage(w, 4)
	for n := range 20 {
		w.check(s.say(n))
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
			w.check(client.await(w.ctx, func() bool {
				return client.tally.Connections == drop+2 && client.now != nil && client.now.settled
			}))
		}
	}
	w.check(s.say(20))
	s.whole(4)
}

// TestCutWhileTracking: sockets that break off while their track is under way
// take nothing from those who listen on the same channel, also a while later.
func TestCutWhileTracking(t *testing.T) {
	t.Parallel()
	const others, rounds = 20, 10
	w := newWorld(t, slack)
	w.bus = bustest.Start(t)
	s := newStage(w, 2)
	address := w.bridges[0] // where the listeners are
	token := w.secret.Token(Identity{User: s.listeners[0].User()}, tokenLasts)
	for range rounds {
		var breaking []*stranger
		for range others {
			breaking = append(breaking, welcomed(t, address, token))
		}
		for i, other := range breaking {
			for id := range 40 {
				other.say(request(map[string]any{"id": id + 1, "op": "track", "channel": s.channel, "meta": i}))
			}
			other.hear() // the first is answered, the next is under way
			_ = other.socket.CloseNow()
		}
	}
	pace := time.NewTicker(500 * time.Millisecond)
	defer pace.Stop()
	for n := range 30 { // longer than a bridge keeps a channel that nobody uses
		<-pace.C
		w.check(s.say(n))
	}
	s.whole(1)
}
