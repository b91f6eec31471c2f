package hub

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// Headers of a republished message.
const (
	headerSequence = "Nats-Sequence"
	headerPrevious = "Nats-Last-Sequence" // of the same subject; 0 for the first, and when the one before is gone
	headerTime     = "Nats-Time-Stamp"
)

// tail is what all subjects of a channel share, and the key of the hub's map.
func tail(name subjects.Channel) string { return strings.TrimPrefix(name.Event(), "evt.") }

// demux gives a message from the bus to the channel it is of.
func (h *Hub) demux(msg *nats.Msg) {
	role, rest, _ := strings.Cut(msg.Subject, ".")
	switch role {
	case "feed":
		if ch := h.find(rest); ch != nil {
			h.feed(ch, msg)
		}
	case "live":
		if ch := h.find(rest); ch != nil {
			h.live(ch, msg)
		}
	case "presence":
		h.presence(rest, msg)
	case "members":
		sequence, _ := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
		h.rights.change(sequence, rest)
	}
}

func (h *Hub) feed(ch *Channel, msg *nats.Msg) {
	sequence, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return // not republished by JetStream: nobody else may write here
	}
	at, _ := time.Parse(time.RFC3339Nano, msg.Header.Get(headerTime))
	previous, _ := strconv.ParseUint(msg.Header.Get(headerPrevious), 10, 64)
	h.metrics.facts.Inc()
	fact := history.Fact{Sequence: sequence, Time: at, Header: msg.Header, Data: msg.Data}
	ch.ingest(h.factEntry(ch.Name, ch.label, fact), previous)
}
