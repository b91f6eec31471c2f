package dialect

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/latido/latido/tests/load/floor"
	"github.com/latido/latido/tests/load/frame"
)

// diary is a sink that writes down what it is told.
type diary struct{ lines []string }

func (d *diary) note(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Ready(*Session)               { d.note("ready") }
func (d *diary) Answer(_ *Session, id uint32) { d.note("answer %d", id) }
func (d *diary) Event(_ *Session, e []byte)   { d.note("event %s", e) }
func (d *diary) Trouble(_ *Session, id uint32, text []byte) {
	d.note("trouble %d %.20s", id, text)
}

func (d *diary) Reply(_ *Session, data []byte) {
	opcode, payload, _ := frame.CutClient(slices.Clone(data))
	d.note("reply %d %s", opcode, payload)
}

// text is what a server says, as one frame for each part.
func text(parts ...string) []byte {
	var data []byte
	for _, part := range parts {
		data = frame.AppendServer(data, frame.Text, []byte(part))
	}
	return data
}

var spoken = []struct {
	name    string
	dialect Dialect
	data    []byte
	want    []string
}{
	{
		"latido",
		Latido{},
		slices.Concat(
			text(
				`{"op":"welcome","session":"secret","ref":"r","user":"u0"}`,
				`{"id":7,"op":"ok","position":{"epoch":"e","seq":21},"replaying":4}`,
				`{"op":"event","channel":"app:x","event":"e","data":1}`+"\n"+`{"id":8,"op":"ok","seq":22}`+"\n"+`{"op":"ping"}`,
				`{"op":"error","id":9,"code":4030,"reason":"forbidden"}`,
				`{"op":"presence","channel":"app:x","joins":[]}`,
				`{"op":"gap","channel":"room:x"}`,
			),
			frame.AppendServer(nil, frame.Ping, []byte("hi")),
			frame.AppendServer(nil, frame.Close, []byte("\x11\x94slow")),
		),
		[]string{
			"ready", "answer 7", `event {"op":"event","channel":"app:x","event":"e","data":1}`, "answer 8", `reply 1 {"op":"pong"}`,
			`trouble 9 {"op":"error","id":9`, `event {"op":"presence","channel":"app:x","joins":[]}`, `trouble 0 {"op":"gap","channel`,
			"reply 10 hi", "trouble 0 closed: slow",
		},
	},
	{
		"floor",
		Floor{},
		slices.Concat(text(string(floor.AppendAnswer(nil, 0)), string(floor.AppendAnswer(nil, 300)), `{"op":"event"}`)),
		[]string{"ready", "answer 300", `event {"op":"event"}`},
	},
	{
		"nats",
		NATS{},
		text(
			"INFO {}\r\n", "PONG\r\nPO", "NG\r\n", "PING\r\nMSG live.x 2 ", "5\r\nhel", "", "lo\r\nMSG _INBOX.0.9 1 8\r\n{\"seq\":1\r\n",
			"MSG _INBOX.0.10 1 13\r\n{\"error\":{} }\r\nMSG live.x 2 0\r\n\r\n-ERR 'no'\r\n",
		),
		[]string{"ready", "answer 4", "reply 2 PONG\r\n", "event hello", "answer 9", `trouble 10 {"error":{} }`, "event ", "trouble 0 -ERR 'no'"},
	},
}

// TestScan hears the same whether all bytes come at once or one by one.
func TestScan(t *testing.T) {
	t.Parallel()
	for _, row := range spoken {
		for _, step := range []int{1, 2, 3, 7, len(row.data)} {
			var heard diary
			s := &Session{pings: []uint32{0, 4}}
			var kept []byte
			for part := range slices.Chunk(row.data, step) {
				kept = row.dialect.Scan(s, append(slices.Clone(kept), part...), &heard)
			}
			if len(kept) > 0 {
				t.Errorf("%s, %d bytes at a time: %q is left", row.name, step, kept)
			}
			if !slices.Equal(heard.lines, row.want) {
				t.Errorf("%s, %d bytes at a time: heard\n\t%s\nwant\n\t%s", row.name, step, strings.Join(heard.lines, "\n\t"), strings.Join(row.want, "\n\t"))
			}
		}
	}
}

func TestLatidoReturnsToWhereItStood(t *testing.T) {
	t.Parallel()
	s := &Session{Token: "t"}
	Latido{}.Scan(s, text(`{"op":"welcome","session":"secret","ref":"r"}`, `{"id":7,"op":"ok","position":{"epoch":"e","seq":21}}`), &diary{})
	s.Reconnect()
	_, hello, _ := frame.CutClient(Latido{}.Hello(nil, s))
	if want := `{"op":"hello","client":"load/1","batch":true,"token":"t","session":"secret"}`; string(hello) != want {
		t.Errorf("got %s, want %s", hello, want)
	}
	_, subscribe, _ := frame.CutClient(Latido{}.Return(nil, s, 3, &Channel{Name: "x", Keeping: Decided}))
	if want := `{"id":3,"op":"subscribe","channel":"room:x","since":{"epoch":"e","seq":21}}`; string(subscribe) != want {
		t.Errorf("got %s, want %s", subscribe, want)
	}
}

func FuzzScan(f *testing.F) {
	for i, row := range spoken {
		f.Add(i, row.data)
	}
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		row := spoken[max(i, 0)%len(spoken)]
		if rest := row.dialect.Scan(new(Session), slices.Clone(data), new(diary)); len(rest) > len(data) {
			t.Errorf("%d bytes are left of %d", len(rest), len(data))
		}
	})
}

func BenchmarkScan(b *testing.B) {
	event := AppendEvent(nil, &Channel{Name: "fanout-1"}, []byte(`{"text":"`+strings.Repeat("x", 117)+`"}`))
	data := slices.Repeat(text(string(event)), 64)
	s, sink := new(Session), new(counter)
	for b.Loop() {
		Latido{}.Scan(s, data, sink)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/event")
}

// counter is a sink that counts events.
type counter struct {
	diary
	events int
}

func (c *counter) Event(*Session, []byte) { c.events++ }
