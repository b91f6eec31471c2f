package eventstream

import (
	"bytes"
	"fmt"
	"time"

	"github.com/latido/latido/bridge/native"
	"github.com/latido/latido/bridge/wire"
)

// Encoder tells what many are told alike.
type Encoder struct{}

// comment is a message that says nothing, but that the line stands.
const comment = ":\n\n"

// opens is how a frame begins that has an op, which stands first in it.
const opens = `{"op":"`

// Encode implements [wire.Encoder]. Nothing is told of what only who speaks can need,
// and a ping is a comment: there is nobody to answer it.
func (Encoder) Encode(scratch []byte, notice wire.Notice, emit func(message []byte, binary bool)) {
	switch notice.(type) {
	case wire.Ping:
		emit(append(scratch[:0], comment...), false)
		return
	case wire.Welcome, wire.OK:
		return
	}
	native.Dialect{}.Encode(nil, notice, func(frame []byte, _ bool) {
		op, _, _ := bytes.Cut(bytes.TrimPrefix(frame, []byte(opens)), []byte{'"'})
		message := append(append(scratch[:0], "event: "...), op...)
		message = append(append(message, "\ndata: "...), frame...)
		emit(append(message, "\n\n"...), false)
	})
}

// Beginning is what a stream begins with: how long a browser that lost it waits before
// it returns.
func Beginning(retry time.Duration) []byte {
	return fmt.Appendf(nil, "retry: %d\n\n", retry.Milliseconds())
}
