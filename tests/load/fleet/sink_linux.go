package fleet

import (
	"bytes"

	"github.com/latido/latido/tests/load/dialect"
	"github.com/latido/latido/tests/load/stamp"
)

var _ dialect.Sink = (*Fleet)(nil)

// Ready implements [dialect.Sink].
func (f *Fleet) Ready(s *dialect.Session) {
	m := f.members[s.Index]
	if m.stage != greeting {
		return
	}
	m.stage = ready
	f.inHand--
	if m.returns {
		f.send(m, f.dialect.Return(nil, s, f.request(), &m.follows.Channel))
	}
}

// Answer implements [dialect.Sink].
func (f *Fleet) Answer(_ *dialect.Session, id uint32) {
	sent := f.sent[id%requests]
	if sent == 0 {
		f.open--
		return
	}
	f.Answered++
	f.AnswerLatency.Record(f.now - sent)
}

// Event implements [dialect.Sink]. The stamp is looked for where it was in the
// member's last event first.
func (f *Fleet) Event(s *dialect.Session, event []byte) {
	m := f.members[s.Index]
	if m.follows == nil && !m.tracks {
		return
	}
	at := m.hint
	if at >= len(event) || event[at] != stamp.Mark {
		if at = bytes.IndexByte(event, stamp.Mark); at < 0 {
			return // a fact of the channel's own, such as that it was opened
		}
		m.hint = at
	}
	number, sent, ok := stamp.Parse(event[at:])
	if !ok {
		f.fail("member %d: no stamp in %s", m.Index, event)
		return
	}
	if m.tracks {
		f.joins(m, event[at:])
		return
	}
	if f.origin > 0 {
		sent = f.origin
	}
	f.Delivered++
	f.Latency.Record(f.now - sent)
	m.Receipt.Note(number)
}

// joins counts each join that a member is told of, by the stamps in what the
// joining said, except those who were there before it.
func (f *Fleet) joins(m *Member, event []byte) {
	for at := 0; at >= 0; {
		event = event[at:]
		if _, sent, ok := stamp.Parse(event); ok && sent > m.since {
			f.Delivered++
			f.Latency.Record(f.now - sent)
		}
		event = event[1:]
		at = bytes.IndexByte(event, stamp.Mark)
	}
}

// Reply implements [dialect.Sink].
func (f *Fleet) Reply(s *dialect.Session, frame []byte) { f.send(f.members[s.Index], frame) }

// Trouble implements [dialect.Sink]: a run with a refusal in it measures nothing.
func (f *Fleet) Trouble(s *dialect.Session, _ uint32, text []byte) {
	f.fail("member %d: the server says %s", s.Index, text)
}
