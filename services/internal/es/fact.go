package es

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
)

const (
	headerTrace = "traceparent"  // W3C trace context, from a command to its facts
	headerState = "Latido-State" // the state after the fact, see Decider.Carry
	// headerRefused is the code of the refusal that a command was answered with
	// although its facts were stored, and its sentence.
	headerRefused = "Latido-Refused"
)

// request is a command as it came over the bus. Its Body is not decoded yet.
type request struct {
	Command
	name   string
	body   []byte
	id     string // its Nats-Msg-Id
	digest string
	header nats.Header

	refusal schemas.Refusal // what it is answered with all the same; no code for none
}

// fact is an event as it is stored.
type fact struct {
	Event
	seq    uint64
	at     time.Time // when it was stored; zero when nobody asked
	id     string
	digest string
	state  string // as JSON, when it is carried

	refusal schemas.Refusal // of its command; no code for none
}

// digest tells a retry of a command from another command under the same key. The
// body is canonical: white space does not matter.
func digest(command string, body []byte) string {
	sum := sha256.Sum256(append([]byte(command+"\n"), body...))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// messages writes the events as the facts of the request. The first carries the
// request's own id, and the check that the channel is still at version, unless
// it is unchecked.
func (r request) messages(events []Event, version uint64) ([]*nats.Msg, error) {
	messages := make([]*nats.Msg, len(events))
	for i, event := range events {
		channel := event.Channel
		if channel == (subjects.Channel{}) {
			channel = r.Channel
		}
		body, err := encode(event)
		if err != nil {
			return nil, err
		}
		message := &nats.Msg{Subject: channel.Event(), Data: body, Header: nats.Header{
			subjects.HeaderDigest: {r.digest},
			jetstream.MsgIDHeader: {r.id},
		}}
		subjects.SetText(message.Header, subjects.HeaderEvent, event.Name)
		subjects.SetText(message.Header, subjects.HeaderFrom, r.From)
		if r.Name != "" {
			subjects.SetText(message.Header, subjects.HeaderName, r.Name)
		}
		for _, name := range []string{subjects.HeaderSession, headerTrace} {
			if value := r.header.Get(name); value != "" {
				message.Header.Set(name, value)
			}
		}
		if r.refusal.Code != 0 {
			message.Header.Set(headerRefused, strconv.Itoa(int(r.refusal.Code))+" "+r.refusal.Message)
		}
		if i > 0 {
			message.Header.Set(jetstream.MsgIDHeader, r.id+"/"+strconv.Itoa(i+1))
		} else if !event.Unchecked {
			message.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(version, 10))
		}
		messages[i] = message
	}
	return messages, nil
}

// encode makes the body of a fact, which must not grow: what a browser may send, as
// "<" in all its letters, every reader must be able to be told of. It refuses with
// [schemas.TooLarge].
func encode(event Event) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(event.Data); err != nil {
		return nil, fmt.Errorf("encode %s: %w", event.Name, err)
	}
	return schemas.Canonical(event.Name, body.Bytes(), schemas.MaxFrame-schemas.MaxEnvelope)
}

// readFact is the inverse of messages. With an error the fact tells nothing: its data
// is nil, as that of an event which this version does not know. What a reader of the
// channel would be refused to be told is not believed here either.
func readFact(channel subjects.Channel, seq uint64, header nats.Header, body []byte, decoders map[string]Decoder) (fact, error) {
	f := fact{
		Event:  Event{Channel: channel, Name: subjects.Text(header, subjects.HeaderEvent)},
		seq:    seq,
		id:     header.Get(jetstream.MsgIDHeader),
		digest: header.Get(subjects.HeaderDigest),
		state:  header.Get(headerState),
	}
	if code, sentence, refused := strings.Cut(header.Get(headerRefused), " "); refused {
		number, _ := strconv.Atoi(code) // ours
		f.refusal = schemas.Refusal{Code: schemas.Code(number), Message: sentence}
	}
	if _, _, key, err := subjects.ParseMessageID(f.id); err == nil {
		f.Key = key
	}
	decode, known := decoders[f.Name]
	if !known {
		return f, nil
	}
	canonical, err := schemas.Canonical("data", body, 0)
	if err != nil {
		return f, fmt.Errorf("read %s: %w", f.Name, err)
	}
	data, err := decode(canonical)
	if err != nil {
		return f, fmt.Errorf("decode %s: %w", f.Name, err)
	}
	f.Data = data
	return f, nil
}
