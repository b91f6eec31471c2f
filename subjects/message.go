package subjects

import "strings"

// Headers of Latido's messages, beside NATS' own and "traceparent".
const (
	HeaderEvent    = "Latido-Event"    // the event's name, on facts and live events
	HeaderFrom     = "Latido-From"     // the user, or "service:<name>"
	HeaderName     = "Latido-Name"     // the user's display name
	HeaderRole     = "Latido-Role"     // the caller's role, on commands
	HeaderSession  = "Latido-Session"  // the public reference of the sender's session, on commands, facts and live events
	HeaderDigest   = "Latido-Digest"   // hash of the command a fact answers, to tell a retry from a reused id
	HeaderEncoding = "Latido-Encoding" // [EncodingBinary] where an event's body is no JSON
	HeaderProof    = "Latido-Proof"    // the user's token, a JWT, on commands from bridges
)

// EncodingBinary marks an event whose body is bytes. Browsers get them in base64. A
// body that is not marked is JSON, and no browser is told one that is not.
const EncodingBinary = "binary"

// SetText writes a text header of a message: From, Name, Event, Session or Role.
// NATS trims what surrounds a header's value and replaces its line breaks, so
// that "luis " would arrive as luis; as a [Token] every text arrives as it is,
// the empty one included.
func SetText(header map[string][]string, name, text string) {
	header[name] = []string{Token(text)}
}

// Text reads what [SetText] wrote, and "" where there is no such header. What was
// stored before texts were written so, and is no token, comes back as it is.
func Text(header map[string][]string, name string) string {
	values := header[name]
	if len(values) == 0 {
		return ""
	}
	if text, err := ParseToken(values[0]); err == nil {
		return text
	}
	return values[0]
}

// RoleService is the role that services carry when they command one another.
const RoleService = "service"

// RoleAnonymous is the role of tokens that name nobody.
const RoleAnonymous = "anon"

// MessageID is the Nats-Msg-Id of what user sends to the channel under an
// idempotency key. A stream has one set of ids, so the key is scoped by channel
// and user: nobody can collide with, or block, somebody else's message.
func MessageID(c Channel, user, key string) string {
	return c.tail() + "." + Token(user) + "." + Token(key)
}

// Key is the idempotency key within an id that was written for this channel, or
// "" when it was written for another, as that of a fact which follows from a
// command elsewhere.
func (c Channel) Key(id string) string {
	id, _, _ = strings.Cut(id, "/")
	rest, ok := strings.CutPrefix(id, c.Kind+".")
	if !ok {
		return ""
	}
	channel, rest, _ := strings.Cut(rest, ".")
	_, key, found := strings.Cut(rest, ".")
	if of, err := ParseToken(channel); err != nil || of != c.ID || !found {
		return ""
	}
	key, err := ParseToken(key)
	if err != nil {
		return ""
	}
	return key
}

// ParseMessageID splits an id written by [MessageID]. A part that a service
// appended after a slash, to number the further facts of one command, is not
// of the key.
func ParseMessageID(id string) (c Channel, user, key string, err error) {
	id, _, _ = strings.Cut(id, "/")
	return ParseSeat(id)
}
