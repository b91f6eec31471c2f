package session

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"github.com/latido/latido/bridge/wire"
	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects"
	"github.com/latido/latido/subjects/identity"
)

// Who has not signed in is let in only where a dialect says so, which the native one
// does not. Such a session is of a user of its own, by its secret, whose id no token can
// name. It may do what its token's grants and its proofs say, on channels that go by
// grants, and nothing else: it commands nobody, is no device, belongs to nothing, and
// does not see what is for anyone signed in. All of an address share the allowance of
// one user.

// identify reads who says hello with a secret.
func (s *session) identify(r wire.Hello, secret string) (id identity.Identity, err error) {
	switch {
	case !r.Anonymous:
		return s.node.Verifier.Verify(r.Token)
	case r.Token == "":
		id = identity.Identity{Grants: []identity.Grant{}, Expires: time.Now().AddDate(100, 0, 0)}
	default:
		id, err = s.node.Verifier.VerifyAnyone(r.Token)
	}
	if id.User == "" {
		sum := sha256.Sum256([]byte("latido anonymous " + secret))
		id.User = schemas.AnonymousPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
	}
	return id, err
}

// reidentify reads who replaces the session's token.
func (s *session) reidentify(token string) (identity.Identity, error) {
	if !strings.HasPrefix(s.user, schemas.AnonymousPrefix) {
		return s.node.Verifier.Verify(token)
	}
	id, err := s.node.Verifier.VerifyAnyone(token)
	if id.User == "" {
		id.User = s.user
	}
	return id, err
}

// barred says that a channel is not for who has not signed in.
func barred(id identity.Identity, name subjects.Channel, kind subjects.Kind) bool {
	_, reserved := subjects.ReservedTopic(name)
	return id.Anonymous() && kind.Read != subjects.Granted && (kind.Read != subjects.Topic || reserved)
}
