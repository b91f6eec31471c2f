package hub

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/history"
)

// eventOf is what a message from the bus tells a browser: of its headers only
// those that are for browsers. A backend may write anything there, so the event is
// held to what a browser's own would be: it is made canonical, or refused.
func (h *Hub) eventOf(name subjects.Channel, label string, header nats.Header, data []byte) (wire.Event, error) {
	event := wire.Event{
		Channel: label, Event: subjects.Text(header, subjects.HeaderEvent), From: subjects.Text(header, subjects.HeaderFrom),
	}
	if session := subjects.Text(header, subjects.HeaderSession); isSender(session) {
		event.Session = session // otherwise it is none of ours, and nobody's to leave out
	}
	if id := header.Get(nats.MsgIdHdr); id != "" {
		if key := name.Key(id); schemas.CheckKey(key) == nil { // otherwise nobody here chose it
			event.Key = key
		}
	}
	var err error
	switch encoding := header.Get(subjects.HeaderEncoding); {
	case encoding == subjects.EncodingBinary:
		event.Data, event.Encoding = inBase64(data), wire.Base64
	case encoding != "":
		err = schemas.Refuse(schemas.InvalidJSON, "nobody knows the encoding %q", encoding)
	case len(data) == 0:
		event.Data = json.RawMessage("null")
	default:
		event.Data, err = schemas.Canonical("data", data, 0)
	}
	if err == nil {
		err = CheckTellable(event, max(h.frameLimit, schemas.MaxFrame))
	}
	return event, err
}

// inBase64 is a JSON string.
func inBase64(data []byte) json.RawMessage {
	quoted := make([]byte, 0, base64.StdEncoding.EncodedLen(len(data))+2)
	return append(base64.StdEncoding.AppendEncode(append(quoted, '"'), data), '"')
}

// CheckTellable refuses an event that its readers may not be told, however it came
// here: with texts that the schema of the notice does not allow, or in a frame of
// more than most bytes.
func CheckTellable(event wire.Event, most int) error {
	switch {
	case schemas.CheckEvent(event.Event) != nil:
		return schemas.Refuse(schemas.InvalidFrame, "%v", schemas.CheckEvent(event.Event))
	case !isSender(event.From):
		return schemas.Refuse(schemas.InvalidFrame, "a user's id has at most %d bytes of UTF-8 and no control characters", schemas.MaxUser)
	case len(event.Data)+schemas.MaxEnvelope <= most:
		return nil // whatever the texts are
	}
	// As it is when it was stored.
	event.Sequence, event.At = 1<<53-1, time.Unix(0, 1).UTC()
	if size := size(event); size > most {
		return schemas.Refuse(schemas.TooLarge, "the event's frame has %d bytes, at most %d are taken", size, most)
	}
	return nil
}

// isSender says whether a text may be told as whose doing something was; "" is nobody's.
func isSender(user string) bool {
	return len(user) <= schemas.MaxUser && utf8.ValidString(user) && !strings.ContainsFunc(user, unicode.IsControl)
}

// live takes a live event. One that nobody could read is dropped and counted.
func (h *Hub) live(ch *Channel, msg *nats.Msg) {
	h.metrics.live.Inc()
	event, err := h.eventOf(ch.Name, ch.label, msg.Header, msg.Data)
	if err != nil {
		h.metrics.unreadable.Inc()
		return
	}
	ch.broadcast(eventEntry(event))
}

// factEntry is what a stored fact tells: the event, or where nobody could read it
// a gap in its place, which is counted. Its epoch is still to be set.
func (h *Hub) factEntry(name subjects.Channel, label string, fact history.Fact) *entry {
	event, err := h.eventOf(name, label, fact.Header, fact.Data)
	if err != nil {
		h.metrics.unreadable.Inc()
		return &entry{sequence: fact.Sequence, stored: fact.Time, size: overhead, notice: wire.Gap{
			Channel: label, From: fact.Sequence, To: fact.Sequence, Position: wire.Position{Sequence: fact.Sequence, At: fact.Time},
		}}
	}
	event.Sequence, event.At = fact.Sequence, fact.Time
	e := eventEntry(event)
	e.ends = ends(h.kinds[name.Kind], event)
	return e
}
