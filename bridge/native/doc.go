// Package native is Latido's own dialect, subprotocol "latido.v1": JSON text
// frames, one object each, described by the schemas in schemas/bridge.
//
// Like every dialect it only translates. Imports: bridge/wire, schemas, subjects and
// gjson.
package native

import "github.com/latido/latido/bridge/wire"

// Subprotocol is the name that client and server agree on in the handshake.
const Subprotocol = "latido.v1"

// Dialect implements [wire.Dialect].
type Dialect struct{}

var (
	_ wire.Dialect = Dialect{}
	_ wire.Codec   = Dialect{}
)

// Open implements [wire.Dialect]: a session says hello itself, and every codec is the
// same.
func (Dialect) Open(wire.Opening) (codec wire.Codec, first wire.Request, err error) {
	return Dialect{}, nil, nil
}

// Subprotocols implements [wire.Dialect].
func (Dialect) Subprotocols() []string { return []string{Subprotocol} }

// Close implements [wire.Codec]: refusals are close codes as they are.
func (Dialect) Close(code int, reason string) (int, string) { return code, reason }
