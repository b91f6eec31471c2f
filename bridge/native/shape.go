package native

import (
	"math/bits"
	"strconv"

	"github.com/latido/latido/schemas"
)

// names are the fields of all requests; the index of one is its bit in a set.
var names = [...]string{
	"op", "id", "channel", "event", "command", "key", "token", "client", "session", "generation", "batch",
	"data", "meta", "last", "since", "anew", "presence", "device", "position", "users",
}

// set holds fields by their index in names.
type set uint32

// bitOf is the set of one field each.
var bitOf = func() map[string]set {
	bits := make(map[string]set, len(names))
	for i, name := range names {
		bits[name] = 1 << i
	}
	return bits
}()

func setOf(fields ...string) set {
	var s set
	for _, field := range fields {
		s |= bitOf[field]
	}
	return s
}

func (s set) first() string { return names[bits.TrailingZeros32(uint32(s))] }

// shape says which fields a request must have, and which it may.
type shape struct{ must, may set }

// shapes are the shapes of all requests by their op, as their schemas have them.
var shapes = func() map[string]shape {
	all := make(map[string]shape)
	for _, op := range []string{
		"hello", "subscribe", "unsubscribe", "publish", "call", "track", "untrack", "count", "watch", "token", "probe", "activity", "pong",
	} {
		schema, err := schemas.Request(op)
		if err != nil {
			panic("native: " + err.Error()) // of this build, which its tests find
		}
		must, may, _ := schema.Fields()
		// Whoever has no token is told that they are not signed in.
		all[op] = shape{setOf(must...) &^ setOf("token"), setOf(may...)}
	}
	return all
}()

// Of bodies over HTTP, whose address says the rest.
var (
	publishBody = shape{setOf("event", "data"), setOf("event", "data", "key")}
	callBody    = shape{setOf("data"), setOf("data", "key")}
)

// judge says in which way a frame is not of the shape, or nothing.
func (s shape) judge(f *frame) string {
	switch {
	case f.unknown != "":
		return "there is no field " + strconv.Quote(f.unknown) + " here"
	case f.has&^s.may != 0:
		return "there is no field " + strconv.Quote((f.has &^ s.may).first()) + " here"
	case s.must&^f.has != 0:
		return "the field " + strconv.Quote((s.must &^ f.has).first()) + " is missing"
	}
	return f.wrong
}
