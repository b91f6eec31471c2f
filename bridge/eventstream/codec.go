package eventstream

import (
	"github.com/latido/latido/bridge/wire"
)

// Codec is what one stream speaks. It knows where its reader stands.
type Codec struct {
	Encoder

	key   string   // by which the reader may return, or ""
	names []string // of the channels
	known []string // the position of each as an id has it, or ""
}

var (
	_ wire.Codec  = (*Codec)(nil)
	_ wire.Marker = (*Codec)(nil)
)

// New returns the codec of a stream of channels, by what it subscribes to. Key is told
// in each id, for whoever lets the reader in when it returns.
func New(key string, channels []wire.Subscribe) *Codec {
	c := &Codec{key: key, names: make([]string, len(channels)), known: make([]string, len(channels))}
	for i, channel := range channels {
		c.names[i] = channel.Channel
		if channel.Since != nil {
			c.known[i] = positionText(channel.Channel, *channel.Since)
		}
	}
	return c
}

// Decode implements [wire.Codec]: nothing that a client might send is a request.
func (*Codec) Decode([]byte, bool) (wire.Request, error) { return wire.Batch{}, nil }

// Close implements [wire.Codec]: the error before the end has said why.
func (*Codec) Close(code int, reason string) (int, string) { return code, reason }

// Mark implements [wire.Marker].
func (c *Codec) Mark(channel string, p wire.Position, alone bool) []byte {
	size := len("id: \n\n") + len(c.key) + len(c.names)
	for i, name := range c.names {
		if name == channel {
			c.known[i] = positionText(channel, p)
		}
		size += len(c.known[i])
	}
	mark := append(append(make([]byte, 0, size), "id: "...), c.key...)
	for _, position := range c.known {
		if position != "" {
			mark = append(append(mark, separator), position...)
		}
	}
	if alone {
		return append(mark, "\n\n"...)
	}
	return append(mark, '\n')
}

// Welcome is a message that lets the reader return before anything was told.
func (c *Codec) Welcome() []byte {
	if c.key == "" {
		return nil
	}
	return c.Mark("", wire.Position{}, true)
}
