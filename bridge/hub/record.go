package hub

import (
	"encoding/json"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/schemas/bridge"
	"github.com/latido/latido/schemas/presence"
)

// Record is an entry of presence as a bridge has it: the member, the node that says it,
// and for how long the member is waited for, if its connection is gone.
type Record struct {
	wire.Member
	Node  string
	Grace time.Duration
}

// Waits makes a [seat.Value] of it.
func (r Record) Waits() time.Duration { return r.Grace }

// Encode returns the record as the value of its key, as its readers take it, see
// [ReadEntry], and refuses one that they do not: whoever is told that they are shown is.
func (r Record) Encode() ([]byte, error) {
	e := presence.Entry{
		User: r.User, Ref: r.Ref, Key: r.Key, Name: r.Name, Role: r.Role, Meta: r.Meta, Device: r.Device,
		Position: (*bridge.Place)(r.Place), Since: r.Since, Node: r.Node,
	}
	if r.Grace > 0 {
		e = e.Wait(r.Grace)
	}
	value, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return schemas.CanonicalBody(value)
}

// UnmarshalJSON reads the value of a key.
func (r *Record) UnmarshalJSON(value []byte) error {
	var e presence.Entry
	if err := json.Unmarshal(value, &e); err != nil {
		return err
	}
	*r = Record{wire.Member{
		User: e.User, Ref: e.Ref, Key: e.Key, Name: e.Name, Role: e.Role, Meta: e.Meta, Device: e.Device,
		Place: (*wire.Place)(e.Position), Since: e.Since,
	}, e.Node, e.Waits()}
	return nil
}
