// Package wire is what every dialect means: the requests a browser may make and
// the notices it may be given, as plain values.
//
// A dialect is a package that translates frames to requests and notices to
// frames, and nothing else: no I/O, no clock, no lock. The bridge thinks in
// requests and notices only. Imports: the standard library.
package wire

// Dialect translates between one protocol's text frames and this package's values.
type Dialect interface {
	// Decode reads one frame. A frame it cannot read is a refusal of type
	// [*MalformedError]; the session stays open.
	Decode(frame []byte) (Request, error)
	// Encode appends the frame that tells the notice. It appends nothing when
	// the protocol has no way to say it.
	Encode(dst []byte, notice Notice) []byte
}

// MalformedError says that a frame is no request.
type MalformedError struct {
	Ref  string // the request's reference, when it could be read
	Code int    // a code of schemas/errors.json
	Text string // one line for the developer
}

func (m *MalformedError) Error() string { return m.Text }
