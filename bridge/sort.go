package bridge

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/tidwall/gjson"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/subjects"
)

// Headers of a republished message.
const (
	headerSequence = "Nats-Sequence"
	headerPrevious = "Nats-Last-Sequence" // of the same subject; 0 for the first, and when the one before is gone
	headerTime     = "Nats-Time-Stamp"
)

// tail is what all subjects of a channel share, and the key of the hub's map.
func tail(name subjects.Channel) string { return strings.TrimPrefix(name.Event(), "evt.") }

// sort gives a message from the bus to the channel it is of.
func (h *hub) sort(msg *nats.Msg) {
	role, rest, _ := strings.Cut(msg.Subject, ".")
	switch role {
	case "feed":
		if ch := h.find(rest); ch != nil {
			h.feed(ch, msg)
		}
	case "live":
		if ch := h.find(rest); ch != nil {
			h.metrics.live.Inc()
			ch.broadcast(eventEntry(ch.eventOf(msg.Header, msg.Data)))
		}
	case "presence":
		h.presence(rest, msg)
	case "nodes":
		h.leases.change(rest, msg)
	case "members":
		if name, user, err := subjects.ParseMember(rest); err == nil {
			h.onMember(name, user)
		}
	}
}

func (h *hub) feed(ch *channel, msg *nats.Msg) {
	event := ch.eventOf(msg.Header, msg.Data)
	sequence, err := strconv.ParseUint(msg.Header.Get(headerSequence), 10, 64)
	if err != nil {
		return // not republished by JetStream: nobody else may write here
	}
	event.Sequence = sequence
	event.At, _ = time.Parse(time.RFC3339Nano, msg.Header.Get(headerTime))
	previous, _ := strconv.ParseUint(msg.Header.Get(headerPrevious), 10, 64)
	h.metrics.facts.Inc()
	ch.ingest(eventEntry(event), previous)
}

// eventOf is what a message tells a browser: of its headers only those that are
// for browsers.
func (ch *channel) eventOf(header nats.Header, data []byte) wire.Event {
	return eventOf(ch.name, ch.label, header, data)
}

func eventOf(name subjects.Channel, label string, header nats.Header, data []byte) wire.Event {
	event := wire.Event{
		Channel: label, Event: subjects.Text(header, subjects.HeaderEvent),
		From: subjects.Text(header, subjects.HeaderFrom), Data: asJSON(data),
	}
	if id := header.Get(nats.MsgIdHdr); id != "" {
		event.Key = name.Key(id)
	}
	return event
}

// asJSON is data itself, or data as a JSON string when someone put other bytes
// on the bus.
func asJSON(data []byte) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	if gjson.ValidBytes(data) {
		return data
	}
	quoted, err := json.Marshal(string(data))
	if err != nil {
		return json.RawMessage("null")
	}
	return quoted
}
