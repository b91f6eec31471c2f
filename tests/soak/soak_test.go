package soak

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latido/latido/schemas/chat"
	"github.com/latido/latido/tests/e2e"
	"github.com/latido/latido/tests/faults"
)

// TestSoak lets clients of every kind live together for a while.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	address := s.stack.HTTPAddr()
	observers := []*faults.Peer{
		s.peer(faults.PeerConfig{User: "observer one", Address: address}), s.peer(faults.PeerConfig{User: "observer two", Address: address}),
	}
	for _, observer := range observers {
		s.must(observer.Watch(s.ctx, radio))
	}
	postmen, readers := names("postman", 2), names("reader", 2)
	listeners, talkers, slow := names("listener", 20), names("talker", 5), names("slow", 2)
	host := s.play("host", "host", address)
	_, _, err := host.Call(s.ctx, plaza, "open", chat.Open{Members: slices.Concat(postmen, readers, listeners, talkers, slow, []string{"tab"})})
	s.must(err)

	tab := s.openTab("tab")
	for _, user := range listeners {
		s.follow(s.play("listener", user, address), plaza, log, radio)
	}
	narrow := slowLine(t, address, 1000)
	for _, user := range slow {
		p := s.play("slow", user, narrow)
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
		s.every(time.Second, func(int) bool { _, err := r.read(s); return s.check(err) })
	}
	s.working.Wait()
	truth := s.settle(reads, tab)
	s.judge(truth, reads, tab)
	s.judgePresence(observers, silent)
}

// befriend has two talk and listen in a room of their own, and everywhere.
func (s *stage) befriend(i int) {
	s.t.Helper()
	room, users := fmt.Sprint("room:friends ", i), names(fmt.Sprint("friend ", i), 2)
	for at, user := range users {
		p := s.play("friend", user, s.stack.HTTPAddr())
		if at == 0 {
			_, _, err := p.Call(s.ctx, room, "open", chat.Open{Members: users})
			s.must(err)
		}
		s.follow(p, room, log)
		s.every(2*time.Second, func(n int) bool {
			return s.tell(p, room, "new_message", chat.Post{Text: fmt.Sprint(n)})
		})
	}
}

// fallSilent shows some who hear what they are told and answer nothing, and some
// whose line carries nothing more after a while. It returns since when each is silent.
func (s *stage) fallSilent() map[faults.Seat]time.Time {
	s.t.Helper()
	cable, err := faults.LayCable(s.stack.HTTPAddr())
	s.must(err)
	s.t.Cleanup(cable.Remove)
	var peers []*faults.Peer
	for i := range 2 {
		mute := s.peer(faults.PeerConfig{User: fmt.Sprint("mute ", i), Address: s.stack.HTTPAddr(), Mute: true})
		cut := s.peer(faults.PeerConfig{User: fmt.Sprint("cut ", i), Address: cable.Addr()})
		peers = append(peers, mute, cut)
	}
	for _, p := range peers {
		s.must(p.Watch(s.ctx, log)) // with something to hear all the time
		s.must(p.Show(s.ctx, radio))
	}
	cable.Silence()
	silent := map[faults.Seat]time.Time{}
	for _, p := range peers {
		for _, seat := range p.Seats() {
			silent[seat] = time.Now()
		}
	}
	return silent
}

// settle waits until everybody has come to the end of what there was to hear.
func (s *stage) settle(reads []*reading, tab *tab) e2e.Truth {
	s.t.Helper()
	truth := s.truth()
	var waiting sync.WaitGroup
	for _, p := range s.players {
		if p.slow {
			continue
		}
		for _, channel := range p.stored {
			waiting.Go(func() { s.check(p.Reach(s.ctx, channel, last(truth[channel]))) })
		}
	}
	waiting.Wait()
	for _, r := range reads {
		r.finish(s)
	}
	tab.finish(s, last(truth[plaza]))
	return truth
}

func last(facts []e2e.Fact) uint64 {
	if len(facts) == 0 {
		return 0
	}
	return facts[len(facts)-1].Seq
}

// judge holds what was received against the streams and what was acknowledged.
func (s *stage) judge(truth e2e.Truth, reads []*reading, tab *tab) {
	s.t.Helper()
	for _, wrong := range e2e.JudgeSent(truth, s.sent) {
		s.t.Error(wrong)
	}
	logs := map[string][]e2e.Log{"tab": {tab.log()}}
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
func (s *stage) judgeLogs(kind string, truth e2e.Truth, logs []e2e.Log) {
	s.t.Helper()
	total := e2e.Verdict{}
	for _, log := range logs {
		owed := truth
		if kind == "slow" {
			read := log.After
			if n := len(log.Receptions); n > 0 {
				read = log.Receptions[n-1].Event.Seq
			}
			facts := truth[log.Channel]
			end, _ := slices.BinarySearchFunc(facts, read+1, func(f e2e.Fact, seq uint64) int { return int(f.Seq) - int(seq) })
			owed = e2e.Truth{log.Channel: facts[:end]}
		}
		v := e2e.Judge(owed, log)
		total.Logs, total.Deliveries = total.Logs+v.Logs, total.Deliveries+v.Deliveries
		if !v.Whole() {
			s.t.Errorf("%s: %d lost, %d twice, %d out of order, %d invented, %d altered, %d gaps\n%s",
				kind, v.Lost, v.Twice, v.Reordered, v.Invented, v.Altered, v.Gaps, strings.Join(v.Examples, "\n"))
		}
	}
	s.t.Logf("%s: %d logs, %d stored events", kind, total.Logs, total.Deliveries)
}

// judgePlayer sees that a client was never closed, and heard what was spoken.
func (s *stage) judgePlayer(p *player) {
	s.t.Helper()
	for _, fault := range p.Faults() {
		s.t.Errorf("%s: %v", p.User(), fault)
	}
	if tally := p.Tally(); tally.Connections != 1 || tally.Degraded > 0 {
		s.t.Errorf("%s: %+v", p.User(), tally)
	}
	if !p.radio.on.Load() {
		return
	}
	missing := !p.slow && !p.radio.reached(s.spoken)
	p.radio.mu.Lock()
	defer p.radio.mu.Unlock()
	if missing || p.radio.wrong > 0 || !p.slow && p.radio.missed > 0 || p.radio.heard == 0 {
		s.t.Errorf("%s heard %d live, %d missed, %d again or out of order, the last missing: %v; %s",
			p.User(), p.radio.heard, p.radio.missed, p.radio.wrong, missing, p.radio.example)
	}
}

// silence is far above the 45 s in which whoever falls silent is gone: the machine
// may be busy.
const silence = time.Minute

// judgePresence sees that whoever fell silent was told to have left, once and in
// time, and nobody else was.
func (s *stage) judgePresence(observers []*faults.Peer, silent map[faults.Seat]time.Time) {
	s.t.Helper()
	for _, observer := range observers {
		s.must(observer.Ledger.AwaitGone(s.ctx, slices.Collect(maps.Keys(silent))))
		came, went := map[faults.Seat]int{}, map[faults.Seat]int{}
		longest := time.Duration(0)
		for _, edge := range observer.Ledger.Edges() {
			if edge.Came {
				came[edge.Seat]++
				continue
			}
			went[edge.Seat]++
			if since, is := silent[edge.Seat]; is {
				longest = max(longest, edge.At.Sub(since))
			}
		}
		for seat, times := range came {
			_, owed := silent[seat]
			if gone := went[seat]; times != 1 || gone > 1 || (gone == 1) != owed {
				s.t.Errorf("%v was told to have come %d times and to have left %d times", seat, times, gone)
			}
		}
		if len(came) < len(s.players)+len(silent) || longest > silence {
			s.t.Errorf("%d have come; %d players and %d silent ones were to, the last of these gone after %s", len(came), len(s.players), len(silent), longest)
		}
		s.t.Logf("presence: %d came, %d of them fell silent and were gone within %.1f s", len(came), len(silent), longest.Seconds())
		if tally := observer.Tally(); tally.Connections != 1 {
			s.t.Errorf("observer: %+v", tally)
		}
	}
}
