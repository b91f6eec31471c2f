package kit

import (
	"testing"
	"time"

	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/subjects"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const channel = "room:1"
	at := time.Unix(1_700_000_000, 0)
	truth := Truth{}
	events := map[uint64]*bridge.Event{}
	for _, seq := range []uint64{3, 5, 8, 9} {
		truth[channel] = append(truth[channel], Fact{
			Seq: seq, Event: "new_message", From: "ana", At: at, Data: []byte(`{"text":"<hola>"}`),
			MessageID: subjects.MessageID(subjects.Channel{Kind: "room", ID: "1"}, "ana", "k"),
		})
		events[seq] = &bridge.Event{Channel: channel, Event: "new_message", Seq: seq, From: "ana", Key: "k", At: at, Data: []byte(`{"text": "\u003chola\u003e"}`)}
	}
	events[4] = &bridge.Event{Channel: channel, Seq: 4}
	for name, test := range map[string]struct {
		after uint64
		log   [][]uint64 // by connection
		gaps  int
		want  Verdict
	}{
		"whole":                   {2, [][]uint64{{3, 5}, {}, {8, 9}}, 0, Verdict{}},
		"whole from the middle":   {5, [][]uint64{{8, 9}}, 0, Verdict{}},
		"nothing owed":            {9, nil, 0, Verdict{}},
		"lost at the end":         {2, [][]uint64{{3, 5, 8}}, 0, Verdict{Lost: 1}},
		"lost in between":         {2, [][]uint64{{3}, {9}}, 0, Verdict{Lost: 2}},
		"twice on one connection": {2, [][]uint64{{3, 5, 5, 8, 9}}, 0, Verdict{Twice: 1}},
		"again after a return":    {2, [][]uint64{{3, 5}, {5, 8, 9}}, 0, Verdict{Twice: 1}},
		"out of order":            {2, [][]uint64{{3, 8, 5, 9}}, 0, Verdict{Reordered: 1}},
		"not in the stream":       {2, [][]uint64{{3, 4, 5, 8, 9}}, 0, Verdict{Invented: 1}},
		"older than the start":    {5, [][]uint64{{3, 8, 9}}, 0, Verdict{Invented: 1}},
		"declared lost":           {2, [][]uint64{{3, 5, 8, 9}}, 1, Verdict{Gaps: 1}},
	} {
		log := Log{User: "eva", Channel: channel, After: test.after, Gaps: make([]bridge.Gap, test.gaps)}
		for i, sequences := range test.log {
			for _, seq := range sequences {
				log.Receptions = append(log.Receptions, Reception{i + 1, events[seq]})
			}
		}
		got := Judge(truth, log)
		if got.Whole() != (name[:5] == "whole" || name == "nothing owed") {
			t.Errorf("%s: whole = %v", name, got.Whole())
		}
		got.Logs, got.Deliveries, got.Examples = 0, 0, nil
		if got.Lost != test.want.Lost || got.Twice != test.want.Twice || got.Reordered != test.want.Reordered ||
			got.Invented != test.want.Invented || got.Altered != 0 || got.Gaps != test.want.Gaps {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

func TestJudgeComparesContent(t *testing.T) {
	t.Parallel()
	truth := Truth{"room:1": {{Seq: 1, Event: "new_message", Data: []byte(`{"text":"a"}`)}}}
	event := &bridge.Event{Channel: "room:1", Seq: 1, Event: "new_message", Data: []byte(`{"text":"b"}`)}
	log := Log{Channel: "room:1", Receptions: []Reception{{1, event}}}
	if got := Judge(truth, log, log); got.Altered != 2 || got.Logs != 2 {
		t.Errorf("%+v, want two altered", got)
	}
}

func TestJudgeSent(t *testing.T) {
	t.Parallel()
	id := func(key string) string {
		return subjects.MessageID(subjects.Channel{Kind: "room", ID: "1"}, "ana", key)
	}
	truth := Truth{"room:1": {{Seq: 1, MessageID: id("once")}, {Seq: 2, MessageID: id("twice")}, {Seq: 3, MessageID: id("twice")}}}
	for key, test := range map[string]struct {
		seq   uint64
		wrong int
	}{"once": {1, 0}, "elsewhere": {9, 1}, "twice": {2, 1}, "never": {4, 1}} {
		stored := key
		if key == "elsewhere" {
			stored = "once"
		}
		if wrong := JudgeSent(truth, []Sent{{"ana", "room:1", stored, test.seq}}); len(wrong) != test.wrong {
			t.Errorf("%s: %v", key, wrong)
		}
	}
}
