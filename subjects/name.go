package subjects

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// ErrName is returned for a name that no channel can have.
var ErrName = errors.New("too long for the name of a channel")

// Named is the channel that stands for a name of another protocol. Each set of names
// that must not meet another is a kind of its own, such as an app adds by [AppKind],
// and the name is the channel's id. As a channel's name is text, the bytes that are
// none, U+0000 and the sign that this is written with are escaped, as [Token] does:
//
//	protocol            name there               kind      channel
//	Supabase, public    realtime:room 1          realtime  realtime:room 1
//	Supabase, private   realtime:room 1          private   private:room 1
//	Supabase, any text  realtime:año/2026:"x"    realtime  realtime:año/2026:"x"
//	Pusher, public      my-channel               pusher    pusher:my-channel
//	Pusher, private     private-chat.1           pusher    pusher:private-chat.1
//	Pusher, presence    presence-room@a,b;c      pusher    pusher:presence-room@a,b;c
//	Pusher, encrypted   private-encrypted-e      pusher    pusher:private-encrypted-e
//	Pusher, of a user   #server-to-user-7        pusher    pusher:#server-to-user-7
//	any                 a=b                      pusher    pusher:a=3Db
//	any                 a, U+0000, the byte FF   realtime  realtime:a=00=FF
//
// Supabase's prefix "realtime:" is cut off and put back by who speaks it; whether a
// topic is private is said beside its name. Every name has one channel, no two have the
// same, and [Channel.Name] gives it back. The one bound is [MaxChannel]: names of Pusher,
// at most 200 bytes, always fit; a topic of Supabase does up to 241 bytes.
func Named(kind, name string) (Channel, error) {
	var id strings.Builder
	for rest := name; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		if c := rest[0]; r == utf8.RuneError && size == 1 || c == 0 || c == escape {
			id.Write([]byte{escape, hexUpper[c>>4], hexUpper[c&15]})
		} else {
			id.WriteString(rest[:size])
		}
		rest = rest[size:]
	}
	c := Channel{Kind: kind, ID: id.String()}
	if !isKind(kind) || len(c.String()) > MaxChannel {
		return Channel{}, ErrName
	}
	return c, nil
}

// Name is the name that [Named] has made the channel of. Of a channel that it makes of
// none, which other protocols cannot name, named is false.
func (c Channel) Name() (name string, named bool) {
	var b strings.Builder
	for rest := c.ID; rest != ""; {
		plain, escaped, found := strings.Cut(rest, string(escape))
		b.WriteString(plain)
		if !found {
			break
		}
		if len(escaped) < 2 {
			return "", false
		}
		high, low := strings.IndexByte(hexUpper, escaped[0]), strings.IndexByte(hexUpper, escaped[1])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		rest = escaped[2:]
	}
	name = b.String()
	again, err := Named(c.Kind, name)
	return name, err == nil && again == c
}
