package bridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/topology"
	"github.com/latido/latido/subjects/topology/bustest"
)

// modelFact is what was stored once.
type modelFact struct {
	channel string
	seq     uint64
	n       int // what it says; never twice
	gone    int // the step at which it was removed, 0 while it is kept
}

// model is a stream with the inboxes of some users, a bridge, and what is known of
// both.
type model struct {
	*rand.Rand
	t       *testing.T
	bus     *bustest.Bus
	cable   *cable
	bridge  *Bridge
	stop    func()
	js      jetstream.JetStream
	limits  func(*jetstream.StreamConfig)
	users   []string
	readers []*modelReader // connected or not
	script  []string
	step    atomic.Int64
	said    int
	isCut   bool
	breaks  int // how often the stream got another past
	broken  int // the step at which it did last

	past      []modelFact // of the stream as it is, what was removed included
	saved     string      // folder of an older store
	savedPast []modelFact
}

func newModel(t *testing.T, random *rand.Rand) *model {
	m := &model{Rand: random, t: t, bus: bustest.Start(t), users: []string{"ana", "eva", "luis"}}
	perSubject, most := int64(-1), int64(-1)
	if m.IntN(3) == 0 {
		perSubject = 5 + m.Int64N(20)
	}
	if m.IntN(3) == 0 {
		most = 20 + m.Int64N(60)
	}
	m.limits = func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject, c.MaxMsgs = perSubject, most }
	m.js = jetStream(t, m.bus)
	m.limit()
	m.cable = lay(t, m.bus.URL())
	m.bridge, m.stop = runBridgeAt(t, m.cable.url, Config{})
	m.note("at most %d of a subject, %d in all", perSubject, most)
	return m
}

func (m *model) note(format string, args ...any) {
	m.step.Add(1)
	m.script = append(m.script, fmt.Sprintf(format, args...))
}

func (m *model) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("after %v: %v", m.script[max(0, len(m.script)-3):], err)
	}
}

func (m *model) limit() {
	for _, c := range topology.Streams(topology.Config{}) {
		if c.Name == subjects.StreamUser {
			m.limits(&c)
			_, err := m.js.UpdateStream(m.t.Context(), c)
			m.must(err)
		}
	}
}

func (m *model) stream() jetstream.Stream {
	stream, err := m.js.Stream(m.t.Context(), subjects.StreamUser)
	m.must(err)
	return stream
}

// look finds out what the stream has removed.
func (m *model) look() {
	info, err := m.stream().Info(m.t.Context(), jetstream.WithDeletedDetails(true))
	m.must(err)
	for i := range m.past {
		f := &m.past[i]
		kept := f.seq >= info.State.FirstSeq && f.seq <= info.State.LastSeq && !slices.Contains(info.State.Deleted, f.seq)
		if f.gone == 0 && !kept {
			f.gone = int(m.step.Load())
		}
	}
}

func (m *model) write() {
	m.note("write")
	for range 1 + m.IntN(8) {
		m.say(m.users[m.IntN(len(m.users))], m.IntN(2) == 0)
	}
	m.look()
}

// say stores a fact on a user's channel, with the check of its predecessor or not.
func (m *model) say(user string, checked bool) {
	m.said++
	channel := subjects.Channel{Kind: "user", ID: user}
	msg := nats.NewMsg(channel.Event())
	subjects.SetText(msg.Header, subjects.HeaderEvent, "noted")
	msg.Data = strconv.AppendInt(nil, int64(m.said), 10)
	if checked {
		last, err := m.stream().GetLastMsgForSubject(m.t.Context(), channel.Event())
		sequence := uint64(0)
		if err == nil {
			sequence = last.Sequence
		}
		msg.Header.Set(nats.ExpectedLastSubjSeqHdr, strconv.FormatUint(sequence, 10))
	}
	ack, err := m.js.PublishMsg(m.t.Context(), msg)
	m.must(err)
	m.past = append(m.past, modelFact{channel: channel.String(), seq: ack.Sequence, n: m.said})
}

func (m *model) purge() {
	var option []jetstream.StreamPurgeOpt
	subject := subjects.Channel{Kind: "user", ID: m.users[m.IntN(len(m.users))]}.Event()
	switch kind := m.IntN(4); {
	case kind == 0 || len(m.past) == 0:
		m.note("purge all")
	case kind == 1:
		at := m.past[m.IntN(len(m.past))].seq
		m.note("purge below %d", at)
		option = append(option, jetstream.WithPurgeSequence(at))
	case kind == 2:
		m.note("purge %s", subject)
		option = append(option, jetstream.WithPurgeSubject(subject))
	default:
		m.note("purge %s but 2", subject)
		option = append(option, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeKeep(2))
	}
	m.must(m.stream().Purge(m.t.Context(), option...))
	m.look()
}

// save keeps a copy of the store, for rollBack.
func (m *model) save() {
	m.note("save")
	m.bus.Kill(0)
	m.saved, m.savedPast = m.bus.Save(m.t, 0), slices.Clone(m.past)
	m.bus.Restart(m.t, 0)
	m.settled()
}

// rollBack gives the stream an older past under a running bridge, which alone knows of
// it: nobody has looked at the stream before.
func (m *model) rollBack() {
	if m.saved == "" {
		m.save()
		return
	}
	m.note("roll back")
	m.bus.Kill(0)
	m.bus.Restore(m.t, 0, m.saved)
	m.bus.Restart(m.t, 0)
	m.settled()
	m.past = slices.Clone(m.savedPast)
	for _, r := range m.readers {
		r.mu.Lock()
		r.held, r.watched = r.place.Sequence, r.conn != nil
		r.mu.Unlock()
	}
	m.breaks, m.broken = m.breaks+1, int(m.step.Load())
	for range m.IntN(1 + m.IntN(40)) { // it may grow beyond where it was
		m.say(m.users[m.IntN(len(m.users))], false)
	}
	m.look()
}

func (m *model) recreate() {
	m.note("recreate")
	m.must(m.js.DeleteStream(m.t.Context(), subjects.StreamUser))
	m.must(topology.Ensure(m.t.Context(), m.js, topology.Config{}))
	m.limit()
	m.past, m.saved = nil, ""
	m.breaks, m.broken = m.breaks+1, int(m.step.Load())
}

// settled waits until the server is back for the model's own connection.
func (m *model) settled() {
	wait(m.t, "the bus", func() bool {
		_, err := m.js.Stream(m.t.Context(), subjects.StreamUser)
		return err == nil
	})
}

func (m *model) cut() {
	m.note("cut")
	m.isCut = true
	m.cable.set(true)
}

func (m *model) mend() {
	m.note("mend")
	m.isCut = false
	m.cable.set(false)
}

func (m *model) restartBridge() {
	if m.isCut {
		return
	}
	m.note("restart the bridge")
	m.whole()
	for _, r := range m.readers {
		r.leave()
	}
	m.stop()
	m.bridge, m.stop = runBridgeAt(m.t, m.cable.url, Config{})
}

// whole waits until the bridge works.
func (m *model) whole() {
	if m.isCut {
		m.mend()
	}
	wait(m.t, "the bridge to be whole", func() bool {
		return m.bridge.node.Hub.Bus.Live.IsConnected() && m.bridge.node.Hub.Bus.Replay.IsConnected() && !m.bridge.node.Hub.Degraded.Load()
	})
}
