package soak

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/tests/kit"
)

// TestSoak lets clients of every kind live together for a while.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	address := s.Address()
	observers := []*kit.Client{
		s.observer(kit.ClientConfig{Who: kit.Identity{User: "observer one"}}, radio),
		s.observer(kit.ClientConfig{Who: kit.Identity{User: "observer two"}}, radio),
	}
	postmen, readers := names("postman", 2), names("reader", 2)
	listeners, talkers, slow := names("listener", 20), names("talker", 5), names("slow", 2)
	host := s.play("host", "host", address)
	_, _, err := host.Call(s.Ctx, plaza, "open", chat.Open{Members: slices.Concat(postmen, readers, listeners, talkers, slow, []string{"tab"})})
	s.Must(err)

	tab := s.openTab("tab")
	for _, user := range listeners {
		s.follow(s.play("listener", user, address), plaza, log, radio)
	}
	narrow := s.Proxy(address)
	narrow.Slow(1000)
	for _, user := range slow {
		p := s.play("slow", user, narrow.Addr())
		p.slow = true
		s.follow(p, plaza, radio)
	}
	for _, user := range names("idle", 20) {
		s.play("idle", user, address)
	}
	silent := s.fallSilent()
	// Nobody speaks before everybody listens.
	for i, user := range talkers {
		p := s.play("talker", user, address)
		interval := 400*time.Millisecond + time.Duration(i)*70*time.Millisecond
		s.every(interval, func(n int) bool {
			return s.tell(p, plaza, "new_message", chat.Post{Text: fmt.Sprintf("%s says %d", user, n)}) &&
				s.tell(p, log, "noted", word{user, n}) && s.speak(p, n)
		})
	}
	for i := range 5 {
		s.befriend(i)
	}
	for _, user := range postmen {
		s.every(time.Second, func(n int) bool { return s.post(user, log, "noted", n, word{user, n}) })
	}
	var reads []*reading
	for _, user := range readers {
		r := &reading{user: user, channel: log}
		reads = append(reads, r)
		s.every(time.Second, func(int) bool { _, err := r.read(s); return s.Check(err) })
	}
	s.working.Wait()
	truth := s.settle(reads, tab)
	s.judge(truth, reads, tab)
	s.judgePresence(observers, silent)
}

// befriend has two talk and listen in a room of their own, and everywhere.
func (s *stage) befriend(i int) {
	s.T.Helper()
	room, users := fmt.Sprint("room:friends ", i), names(fmt.Sprint("friend ", i), 2)
	for at, user := range users {
		p := s.play("friend", user, s.Address())
		if at == 0 {
			_, _, err := p.Call(s.Ctx, room, "open", chat.Open{Members: users})
			s.Must(err)
		}
		s.follow(p, room, log)
		s.every(2*time.Second, func(n int) bool {
			return s.tell(p, room, "new_message", chat.Post{Text: fmt.Sprint(n)})
		})
	}
}

// fallSilent shows some who hear what they are told and answer nothing, and some
// whose line carries nothing more after a while. It returns since when each is silent.
func (s *stage) fallSilent() map[kit.Seat]time.Time {
	s.T.Helper()
	proxy := s.Proxy(s.Address())
	var clients []*kit.Client
	for i := range 2 { // each with something to hear all the time
		mute := s.observer(kit.ClientConfig{Who: kit.Identity{User: fmt.Sprint("mute ", i)}, Mute: true}, log)
		cut := s.observer(kit.ClientConfig{Who: kit.Identity{User: fmt.Sprint("cut ", i)}, Bridges: []string{proxy.Addr()}}, log)
		clients = append(clients, mute, cut)
	}
	for _, c := range clients {
		s.Must(c.Track(s.Ctx, radio, nil))
	}
	proxy.Stall()
	silent := map[kit.Seat]time.Time{}
	for _, c := range clients {
		for _, seat := range c.Seats() {
			silent[seat] = time.Now()
		}
	}
	return silent
}

// settle waits until everybody has come to the end of what there was to hear.
func (s *stage) settle(reads []*reading, tab *tab) kit.Truth {
	s.T.Helper()
	truth := s.truth()
	var waiting sync.WaitGroup
	for _, p := range s.players {
		if p.slow {
			continue
		}
		for _, channel := range p.stored {
			waiting.Go(func() { s.Check(p.Reach(s.Ctx, channel, truth.Last(channel))) })
		}
	}
	waiting.Wait()
	for _, r := range reads {
		r.finish(s)
	}
	tab.finish(s, truth.Last(plaza))
	return truth
}

// judge holds what was received against the streams and what was acknowledged.
func (s *stage) judge(truth kit.Truth, reads []*reading, tab *tab) {
	s.T.Helper()
	for _, wrong := range kit.JudgeSent(truth, s.sent) {
		s.T.Error(wrong)
	}
	logs := map[string][]kit.Log{"tab": {tab.log()}}
	for _, r := range reads {
		logs["reader"] = append(logs["reader"], r.log)
	}
	for _, p := range s.players {
		logs[p.kind] = append(logs[p.kind], p.Logs()...)
		s.judgePlayer(p)
	}
	for _, kind := range slices.Sorted(maps.Keys(logs)) {
		s.judgeLogs(kind, truth, logs[kind])
	}
}

// judgeLogs judges one kind of client. The slow are owed what comes before the last
// that they had read.
func (s *stage) judgeLogs(kind string, truth kit.Truth, logs []kit.Log) {
	s.T.Helper()
	total := kit.Verdict{}
	for _, log := range logs {
		owed := truth
		if kind == "slow" {
			read := log.After
			if n := len(log.Receptions); n > 0 {
				read = log.Receptions[n-1].Event.Seq
			}
			facts := truth[log.Channel]
			end, _ := slices.BinarySearchFunc(facts, read+1, func(f kit.Fact, seq uint64) int { return int(f.Seq) - int(seq) })
			owed = kit.Truth{log.Channel: facts[:end]}
		}
		v := kit.Judge(owed, log)
		total.Logs, total.Deliveries = total.Logs+v.Logs, total.Deliveries+v.Deliveries
		if !v.Whole() {
			s.T.Errorf("%s: %v", kind, v)
		}
	}
	s.T.Logf("%s: %d logs, %d stored events", kind, total.Logs, total.Deliveries)
}

// judgePlayer sees that a client was never closed, and heard what was spoken.
func (s *stage) judgePlayer(p *player) {
	s.T.Helper()
	if tally := p.Tally(); tally.Connections != 1 || tally.Degraded > 0 {
		s.T.Errorf("%s: %+v", p.User(), tally)
	}
	if !p.radio.on.Load() {
		return
	}
	missing := !p.slow && !p.radio.reached(s.spoken)
	p.radio.mu.Lock()
	defer p.radio.mu.Unlock()
	if missing || p.radio.wrong > 0 || !p.slow && p.radio.missed > 0 || p.radio.heard == 0 {
		s.T.Errorf("%s heard %d live, %d missed, %d again or out of order, the last missing: %v; %s",
			p.User(), p.radio.heard, p.radio.missed, p.radio.wrong, missing, p.radio.example)
	}
}

// silence is far above the 45 s in which whoever falls silent is gone: the machine
// may be busy.
const silence = time.Minute

// judgePresence sees that whoever fell silent was told to have left, once and in
// time, and nobody else was.
func (s *stage) judgePresence(observers []*kit.Client, silent map[kit.Seat]time.Time) {
	s.T.Helper()
	for _, observer := range observers {
		s.Must(observer.Ledger.AwaitGone(s.Ctx, slices.Collect(maps.Keys(silent))))
		came, went := map[kit.Seat]int{}, map[kit.Seat]int{}
		longest := time.Duration(0)
		for _, change := range observer.Ledger.Changes() {
			if change.Came {
				came[change.Seat]++
				continue
			}
			went[change.Seat]++
			if since, is := silent[change.Seat]; is {
				longest = max(longest, change.At.Sub(since))
			}
		}
		for seat, times := range came {
			_, owed := silent[seat]
			if gone := went[seat]; times != 1 || gone > 1 || (gone == 1) != owed {
				s.T.Errorf("%v was told to have come %d times and to have left %d times", seat, times, gone)
			}
		}
		if len(came) < len(s.players)+len(silent) || longest > silence {
			s.T.Errorf("%d have come; %d players and %d silent ones were to, the last of these gone after %s", len(came), len(s.players), len(silent), longest)
		}
		s.T.Logf("presence: %d came, %d of them fell silent and were gone within %.1f s", len(came), len(silent), longest.Seconds())
		if tally := observer.Tally(); tally.Connections != 1 {
			s.T.Errorf("observer: %+v", tally)
		}
	}
}
