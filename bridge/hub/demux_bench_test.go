package hub

import (
	"log/slog"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/subjects"
)

// BenchmarkFeed is what one stored event costs a node before anyone is written
// to: sorted, judged for gaps, put into its channel's ring, encoded once.
func BenchmarkFeed(b *testing.B) {
	h := New(Config{Kinds: subjects.Catalog, Flushers: 1, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	name := subjects.Channel{Kind: "room", ID: "42"}
	ch := h.newChannel(name)
	ch.healing = false
	h.channels[tail(name)] = ch
	msg := nats.NewMsg(name.Feed())
	msg.Data = []byte(`{"text":"a message of the length that people write to one another","attachments":[]}`)
	msg.Header = nats.Header{
		subjects.HeaderEvent: {subjects.Token("new_message")}, subjects.HeaderFrom: {subjects.Token("ana")}, headerTime: {"2024-02-29T12:00:00.123456789Z"},
		nats.MsgIdHdr: {subjects.MessageID(name, "ana", "01J9ZQ6Y8V4T3K2M1N0P")},
	}
	b.ReportAllocs()
	for i := range b.N {
		msg.Header[headerPrevious] = []string{strconv.Itoa(i)}
		msg.Header[headerSequence] = []string{strconv.Itoa(i + 1)}
		h.demux(msg)
		ch.ring.entries[len(ch.ring.entries)-1].frame(plain)
	}
}

// plain is the view of the tests.
var plain = NewView(native.Dialect{}, Plain)
