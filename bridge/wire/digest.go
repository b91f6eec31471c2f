package wire

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"
)

// Digest names what is said of a member, in 12 letters of base64url (RFC 4648, section
// 5): it is the same on every node, and whenever the member comes back with the same,
// and another one after each update.
func (m Member) Digest() string {
	m.Since = time.Time{}
	said, err := json.Marshal(m)
	if err != nil {
		return "" // only metadata that is no JSON, which nobody is told
	}
	sum := sha256.Sum256(said)
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}
