package bridge

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/schemas"
)

// Grant allows a token's holder to use the app channels that match a pattern.
type Grant struct {
	Pattern  string `json:"pattern"` // of a channel's name, as path.Match: "app:shop-*"
	Read     bool   `json:"read"`
	Write    bool   `json:"write"`
	Presence bool   `json:"presence"`
}

// identity is who a token says that its bearer is.
type identity struct {
	User, Name, Role string
	Avatar           string  // the address of the user's picture
	Grants           []Grant // nil grants every app channel
	Expires          time.Time
}

// granted says whether the token's grants allow the use of a channel.
func (id identity) granted(channel string, allows func(Grant) bool) bool {
	if id.Grants == nil {
		return true
	}
	for _, grant := range id.Grants {
		if matched, err := path.Match(grant.Pattern, channel); err == nil && matched && allows(grant) {
			return true
		}
	}
	return false
}

// claims are what Latido reads of a token.
type claims struct {
	jwt.RegisteredClaims
	Name   string  `json:"name,omitempty"`
	Avatar string  `json:"picture,omitempty"` // as OpenID Connect names it
	Role   string  `json:"role,omitempty"`
	Grants []Grant `json:"channels,omitempty"`
}

// maxUser is the longest user id, in bytes.
const maxUser = 128

// maxAvatar is the longest address of a picture, in bytes.
const maxAvatar = 1000

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 8 << 10

// verifier tells whether a token is good. Tokens are signed with a shared
// secret, or with a key of a JWKS, which is fetched in the background and kept:
// while its server is away the known keys serve.
type verifier struct {
	secret []byte
	keys   keyfunc.Keyfunc // nil without a JWKS
}

func newVerifier(ctx context.Context, secret []byte, jwksURL string) (*verifier, error) {
	v := &verifier{secret: secret}
	if jwksURL == "" {
		return v, nil
	}
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{jwksURL})
	if err != nil {
		return nil, fmt.Errorf("keys at %s: %w", jwksURL, err)
	}
	v.keys = keys
	return v, nil
}

// verify reads a token. A token that is no good is a refusal that does not say
// in which way.
func (v *verifier) verify(token string) (identity, error) {
	if token == "" || len(token) > maxToken {
		return identity{}, schemas.Refuse(schemas.Unauthenticated, "a token is needed")
	}
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, v.key,
		jwt.WithExpirationRequired(), jwt.WithLeeway(5*time.Second),
		jwt.WithValidMethods([]string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"}))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return identity{}, schemas.Refuse(schemas.TokenExpired, "the token has expired")
	case err != nil:
		return identity{}, schemas.Refuse(schemas.Unauthenticated, "the token is not valid")
	case len(c.Avatar) > maxAvatar:
		return identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's picture has at most %d bytes", maxAvatar)
	case c.Subject == "" || len(c.Subject) > maxUser:
		return identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's sub must have 1 to %d bytes", maxUser)
	}
	return identity{User: c.Subject, Name: c.Name, Avatar: c.Avatar, Role: c.Role, Grants: c.Grants, Expires: c.ExpiresAt.Time}, nil
}

// key finds the key for a token by its algorithm, so that a public key is never
// taken for a shared secret.
func (v *verifier) key(token *jwt.Token) (any, error) {
	if _, symmetric := token.Method.(*jwt.SigningMethodHMAC); symmetric {
		if len(v.secret) == 0 {
			return nil, jwt.ErrTokenUnverifiable
		}
		return v.secret, nil
	}
	if v.keys == nil {
		return nil, jwt.ErrTokenUnverifiable
	}
	return v.keys.Keyfunc(token)
}

// devSecret signs the tokens of dev mode, which listens on loopback addresses
// only. It is the same everywhere, so that several bridges on one machine take
// one another's tokens.
const devSecret = "latido signs tokens of dev mode with this"

// devTokenAge is how long a token of dev mode is good.
const devTokenAge = 24 * time.Hour

// sign makes a token with the shared secret, for dev mode.
func (v *verifier) sign(user, name, role string, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: user, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(devTokenAge)),
		},
		Name: name, Role: role,
	}).SignedString(v.secret)
}
