package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/coder/websocket"

	"github.com/latido/latido/bridge/wire"
)

// modelReader is who follows a channel over any number of connections, as the SDK
// does, and all that it was told.
type modelReader struct {
	m       *model
	name    string
	channel string
	conn    *websocket.Conn
	done    chan struct{}
	id      int

	mu      sync.Mutex
	answers map[int]message
	place   wire.Position
	held    uint64         // its place when the stream lost its tail
	watched bool           // it was connected then, and is
	start   uint64         // where what it was told in one continuity begins
	reset   int            // the step at which that was
	told    map[uint64]int // what, by sequence
	gaps    []modelGap
	fresh   []modelGap // since the last judgement
	breaks  int        // of the stream, at the last judgement
	anew    int        // gaps that began a continuity, since then
	wrong   []string
	window  bool // it asked for the last n: where that begins shows with the first event
}

// modelGap is a gap, and at which step it was told.
type modelGap struct {
	wire.Gap
	step  int
	place uint64 // of the reader before it
}

func (m *model) come() {
	user := m.users[m.IntN(len(m.users))]
	if len(m.readers) > 7 || m.isCut {
		return
	}
	r := &modelReader{m: m, name: user, channel: "user:" + user, told: map[uint64]int{}}
	want := ""
	switch m.IntN(4) {
	case 0:
		want, r.window = fmt.Sprintf(`,"last":%d`, 1+m.IntN(20)), true
	case 1:
		want, r.window = `,"last":"1h"`, true
	}
	m.note("come %d: %s%s", len(m.readers), user, want)
	m.readers = append(m.readers, r)
	m.whole()
	r.connect()
	r.subscribe(want)
}

func (m *model) pick(connected bool) *modelReader {
	for _, i := range m.Perm(len(m.readers)) {
		if r := m.readers[i]; (r.conn != nil) == connected {
			return r
		}
	}
	return nil
}

func (m *model) leave() {
	if r := m.pick(true); r != nil {
		m.note("leave %s", r.name)
		r.leave()
	}
}

func (m *model) comeBack() {
	r := m.pick(false)
	if r == nil || m.isCut {
		return
	}
	m.note("%s comes back to %v", r.name, r.place)
	m.whole()
	r.connect()
	r.subscribe(r.since())
}

func (m *model) subscribeAgain() {
	r := m.pick(true)
	if r == nil || m.isCut {
		return
	}
	want := []string{"", `,"presence":true`}[m.IntN(2)]
	m.note("%s again%s", r.name, want)
	m.whole()
	r.subscribe(want)
}

func (r *modelReader) since() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, err := json.Marshal(r.place)
	r.m.must(err)
	return `,"since":` + string(at)
}

func (r *modelReader) connect() {
	conn, _, err := websocket.Dial(r.m.t.Context(), "ws://"+r.m.bridge.Addr()+"/ws", nil)
	r.m.must(err)
	conn.SetReadLimit(1 << 22)
	r.conn, r.done, r.answers = conn, make(chan struct{}), map[int]message{}
	r.m.must(conn.Write(r.m.t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"op":"hello","token":%q}`, token(r.m.t, r.m.bridge, r.name, ""))))
	go r.read(conn, r.done)
	r.m.t.Cleanup(r.leave)
}

func (r *modelReader) leave() {
	if r.conn != nil {
		_ = r.conn.CloseNow()
		<-r.done
		r.conn, r.watched = nil, false
	}
}

// subscribe waits for its answer.
func (r *modelReader) subscribe(want string) {
	r.id++
	r.m.must(r.conn.Write(r.m.t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"id":%d,"op":"subscribe","channel":%q%s}`, r.id, r.channel, want)))
	wait(r.m.t, "the answer to a subscribe", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.answers[r.id] != nil
	})
	if answer := r.answers[r.id]; answer.op() != "ok" {
		r.m.t.Errorf("%s: %v", want, answer)
	}
}

func (r *modelReader) read(conn *websocket.Conn, done chan struct{}) {
	defer close(done)
	for {
		_, data, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		var frame struct {
			wire.Gap
			Op, Channel string
			ID          int
			Seq         uint64
			At          json.RawMessage
			Data        int
			Position    *wire.Position
		}
		var whole message
		if json.Unmarshal(data, &whole) != nil || whole.op() == "presence" {
			continue
		}
		if err := json.Unmarshal(data, &frame); err != nil {
			continue // of those with other data none matter here
		}
		r.mu.Lock()
		switch frame.Op {
		case "ok":
			if frame.Position != nil {
				r.accepted(*frame.Position)
			}
			r.answers[frame.ID] = whole
		case "error":
			r.answers[frame.ID] = whole
		case "event":
			r.take(frame.Seq, frame.Data, frame.At)
		case "gap":
			frame.Gap.Position = *frame.Position
			r.gap(frame.Gap)
		}
		r.mu.Unlock()
	}
}

func (r *modelReader) accepted(p wire.Position) {
	if r.place.Epoch == "" {
		r.place = p
		r.start = p.Sequence
		if r.window {
			r.place = wire.Position{Epoch: p.Epoch}
		}
	}
}

func (r *modelReader) take(seq uint64, n int, at json.RawMessage) {
	if r.window {
		r.window, r.start, r.place.Sequence = false, seq-1, seq-1
	}
	if seq <= r.place.Sequence {
		r.wrong = append(r.wrong, fmt.Sprintf("%d told at %d", seq, r.place.Sequence))
	}
	r.told[seq], r.place.Sequence = n, seq
	_ = json.Unmarshal(at, &r.place.At)
}

func (r *modelReader) gap(g wire.Gap) {
	if g.Position.Sequence < r.place.Sequence || r.place.Sequence == 0 && g.Position.Sequence == 0 {
		if r.watched && g.Position.Epoch == r.place.Epoch {
			r.wrong = append(r.wrong, fmt.Sprintf("began anew at %d in the same epoch %s", g.Position.Sequence, r.place.Epoch))
		}
		r.held = 0
		r.start, r.reset, r.told, r.gaps = g.Position.Sequence, int(r.m.step.Load()), map[uint64]int{}, nil
		r.anew++
	} else {
		told := modelGap{g, int(r.m.step.Load()), r.place.Sequence}
		r.gaps, r.fresh = append(r.gaps, told), append(r.fresh, told)
	}
	r.place = g.Position
}
