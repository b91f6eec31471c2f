package wire

import "errors"

// Encoder tells notices in a protocol. What it says depends on the notice alone, so
// that whoever is told the same may share it.
type Encoder interface {
	// Encode hands emit each message that tells a notice, none when the protocol has
	// no way to say it. A message may be built in scratch, and is emit's only until it
	// returns.
	Encode(scratch []byte, notice Notice, emit func(message []byte, binary bool))
}

// Codec is what one session speaks. Its methods are called by one goroutine at a
// time, so it may remember what it has read.
type Codec interface {
	// Encoder tells the notices of the session's own, such as answers.
	Encoder
	// Decode reads one message; several requests in it are a [Batch]. A message that
	// it cannot read is a refusal of type [*MalformedError] and the session stays open;
	// with [ErrBinary] it ends.
	Decode(message []byte, binary bool) (Request, error)
	// Close is the close code and the reason by which the protocol says that the
	// session ends for a refusal, by its code in schemas/errors.json.
	Close(code int, reason string) (int, string)
}

// Marker is a codec of readers who do not count themselves: what it says before a
// notice has them know, when they return, where they stand on all their channels.
type Marker interface {
	// Mark is what stands before the message behind which the reader stands at a
	// position of a channel, or, alone, a message that says no more than that.
	Mark(channel string, p Position, alone bool) []byte
}

// Dialect is a protocol that sessions are spoken to in.
type Dialect interface {
	// Open gives a session its codec, by how its connection was opened, and the
	// request that the opening itself stands for, such as [Hello] where the address
	// says who is there; nil when the client speaks first. An error refuses the
	// connection before it is upgraded; it may be an [*AnswerError].
	Open(opening Opening) (codec Codec, first Request, err error)
	// Subprotocols are those that the protocol goes by, RFC 6455 section 1.9; none is
	// all.
	Subprotocols() []string
}

// Opening is how a connection was opened.
type Opening struct {
	Path   string
	Query  func(name string) string
	Header func(name string) string
}

// AnswerError refuses a connection before it is upgraded in the protocol's own way: it is
// an error, and what HTTP answers.
type AnswerError Answer

func (a *AnswerError) Error() string { return string(a.Body) }

// MalformedError says that a message is no request.
type MalformedError struct {
	Ref  string // the request's reference, when it could be read
	Code int    // a code of schemas/errors.json
	Text string // one line for the developer
}

func (m *MalformedError) Error() string { return m.Text }

// ErrBinary is returned for bytes by a protocol that has only text.
var ErrBinary = errors.New("text messages only")

// Batch is several requests of one message, in their order.
type Batch []Request

func (Batch) request() {}
