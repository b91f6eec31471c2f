package native

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/latido/latido/bridge/wire"
)

// Encode implements [wire.Encoder].
func (Dialect) Encode(scratch []byte, notice wire.Notice, emit func(message []byte, binary bool)) {
	if message := appendNotice(scratch[:0], notice); len(message) > 0 {
		emit(message, false)
	}
}

func appendNotice(dst []byte, notice wire.Notice) []byte {
	switch n := notice.(type) {
	case wire.Event:
		return appendEvent(dst, n)
	case wire.OK:
		return appendOK(dst, n)
	case wire.Ping:
		return append(dst, `{"op":"ping"}`...)
	case wire.Degraded:
		return append(dst, `{"op":"degraded"}`...)
	case wire.Restored:
		return append(dst, `{"op":"restored"}`...)
	case wire.Welcome:
		return appendJSON(dst, welcome{
			Op: "welcome", Session: n.Session, Ref: n.Ref, Generation: n.Generation, User: n.User, Name: n.Name, Role: n.Role,
			Node: n.Node, Ping: int(n.Ping.Seconds()), Limits: n.Limits,
		})
	case wire.Error:
		return appendJSON(dst, failure{
			Op: "error", ID: json.Number(n.Ref), Code: n.Code, Reason: n.Reason, Retry: n.Retry, Message: n.Message,
		})
	case wire.State:
		return appendJSON(dst, presence{Op: "presence", Channel: n.Channel, State: &n.Members, Count: n.Count})
	case wire.Diff:
		return appendJSON(dst, presence{
			Op: "presence", Channel: n.Channel, Joins: n.Joins, Updates: n.Updates, Leaves: left(n.Leaves), Count: n.Count,
		})
	case wire.Gap:
		return appendJSON(dst, gap{Op: "gap", Channel: n.Channel, From: n.From, To: n.To, Position: n.Position})
	case wire.Drain:
		return appendJSON(dst, map[string]any{"op": "drain", "return_in": n.ReturnIn.Milliseconds()})
	case wire.Unsubscribed:
		return appendJSON(dst, unsubscribed{Op: "unsubscribed", Channel: n.Channel, Code: n.Code, Reason: n.Reason})
	}
	return dst
}

type welcome struct {
	Op         string      `json:"op"`
	Session    string      `json:"session"`
	Ref        string      `json:"ref"`
	Generation uint64      `json:"generation"`
	User       string      `json:"user"`
	Name       string      `json:"name,omitempty"`
	Role       string      `json:"role,omitempty"`
	Node       string      `json:"node"`
	Ping       int         `json:"ping"`
	Limits     wire.Limits `json:"limits"`
}

type failure struct {
	Op      string      `json:"op"`
	ID      json.Number `json:"id,omitempty"`
	Code    int         `json:"code"`
	Reason  string      `json:"reason"`
	Retry   bool        `json:"retry"`
	Message string      `json:"message,omitempty"`
}

type presence struct {
	Op      string         `json:"op"`
	Channel string         `json:"channel"`
	State   *[]wire.Member `json:"state,omitempty"`
	Joins   []wire.Member  `json:"joins,omitempty"`
	Updates []wire.Member  `json:"updates,omitempty"`
	Leaves  []leave        `json:"leaves,omitempty"`
	Count   int            `json:"count"`
}

type leave struct {
	User string `json:"user"`
	Ref  string `json:"ref"`
}

type gap struct {
	Op       string        `json:"op"`
	Channel  string        `json:"channel"`
	From     uint64        `json:"from"`
	To       uint64        `json:"to"`
	Position wire.Position `json:"position"`
}

type unsubscribed struct {
	Op      string `json:"op"`
	Channel string `json:"channel"`
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
}

func left(members []wire.Member) []leave {
	leaves := make([]leave, len(members))
	for i, m := range members {
		leaves[i] = leave{User: m.User, Ref: m.Ref}
	}
	return leaves
}

// appendEvent is written by hand: it is the frame of the hot path.
func appendEvent(dst []byte, e wire.Event) []byte {
	dst = appendString(append(dst, `{"op":"event","channel":`...), e.Channel)
	dst = appendString(append(dst, `,"event":`...), e.Event)
	if e.Sequence > 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), e.Sequence, 10)
	}
	if e.From != "" {
		dst = appendString(append(dst, `,"from":`...), e.From)
	}
	if e.Key != "" {
		dst = appendString(append(dst, `,"key":`...), e.Key)
	}
	dst = appendAt(dst, e.At)
	if e.Encoding != "" {
		dst = appendString(append(dst, `,"encoding":`...), e.Encoding)
	}
	dst = append(append(dst, `,"data":`...), e.Data...)
	return append(dst, '}')
}

func appendAt(dst []byte, at time.Time) []byte {
	if at.IsZero() {
		return dst
	}
	return append(at.UTC().AppendFormat(append(dst, `,"at":"`...), time.RFC3339Nano), '"')
}

func appendOK(dst []byte, ok wire.OK) []byte {
	dst = append(append(dst, `{"id":`...), ok.Ref...)
	dst = append(dst, `,"op":"ok"`...)
	if ok.Position != nil {
		dst = appendString(append(dst, `,"position":{"epoch":`...), ok.Position.Epoch)
		dst = strconv.AppendUint(append(dst, `,"seq":`...), ok.Position.Sequence, 10)
		dst = append(appendAt(dst, ok.Position.At), '}')
	}
	if ok.Replaying != nil {
		dst = strconv.AppendUint(append(dst, `,"replaying":`...), *ok.Replaying, 10)
	}
	if ok.Sequence > 0 {
		dst = strconv.AppendUint(append(dst, `,"seq":`...), ok.Sequence, 10)
	}
	if len(ok.Data) > 0 {
		dst = append(append(dst, `,"data":`...), ok.Data...)
	}
	return append(dst, '}')
}

// appendString appends a JSON string; what needs escaping goes the long way.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return appendJSON(dst, s)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

func appendJSON(dst []byte, value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		// Only raw JSON that was not JSON can get here, and it is checked on its way in.
		return dst
	}
	return append(dst, encoded...)
}
