package identity

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/schemas"
)

// Config says which tokens are good. Secret or JWKSURL is needed, both will do.
type Config struct {
	Secret    []byte        // of tokens signed with HS256, HS384 or HS512
	JWKSURL   string        // where the public keys of RS, ES and EdDSA tokens are
	Issuer    string        // the iss that a token must have; "" is any
	Audiences []string      // a token must name one of them in aud; none is any
	Leeway    time.Duration // how far clocks may differ, for exp, nbf and iat; 0 is a minute, less is none
	Log       *slog.Logger  // default slog.Default
}

// Verifier tells whether a token is good. It is safe for concurrent use.
type Verifier struct {
	secret []byte
	ring   *ring // nil without a JWKS
	leeway time.Duration
	// For tokens of its own.
	issuer    string
	audiences []string
	parser    *jwt.Parser
	known     cache
}

// algorithms that a token may be signed with: "none" is not among them.
var algorithms = []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"}

// New makes a verifier. With a JWKS it needs Run.
func New(config Config) *Verifier {
	v := &Verifier{secret: config.Secret, leeway: max(0, cmp.Or(config.Leeway, time.Minute)), issuer: config.Issuer, audiences: config.Audiences}
	if config.JWKSURL != "" {
		v.ring = newRing(config.JWKSURL, cmp.Or(config.Log, slog.Default()))
	}
	rules := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(v.leeway),
	}
	if config.Issuer != "" {
		rules = append(rules, jwt.WithIssuer(config.Issuer))
	}
	if len(config.Audiences) > 0 {
		rules = append(rules, jwt.WithAudience(config.Audiences...))
	}
	v.parser = jwt.NewParser(rules...)
	return v
}

// Run keeps the keys of a JWKS until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	if v.ring != nil {
		v.ring.run(ctx)
	}
	<-ctx.Done()
	return nil
}

// Ready says why tokens cannot be verified at present, or nil.
func (v *Verifier) Ready() error {
	if v.ring == nil {
		return nil
	}
	return v.ring.ready()
}

// Verify reads a token. What is wrong with one is a refusal: [schemas.TokenExpired],
// [schemas.TokenNotYetValid], [schemas.Unavailable] while its key cannot be fetched,
// and otherwise [schemas.Unauthenticated]. A token whose key is not known waits,
// for a few seconds at most, until the keys were fetched once more.
func (v *Verifier) Verify(token string) (Identity, error) {
	id, err := v.VerifyAnyone(token)
	if err == nil && id.User == "" {
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "the token's sub: %v", schemas.CheckUser(""))
	}
	return id, err
}

// VerifyAnyone is Verify where a token of role [subjects.RoleAnonymous] may name nobody:
// such an identity has no user, and only what is granted to it.
func (v *Verifier) VerifyAnyone(token string) (Identity, error) {
	if token == "" {
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "a token is needed")
	}
	if len(token) > maxToken {
		return Identity{}, schemas.Refuse(schemas.Unauthenticated, "a token has at most %d bytes", maxToken)
	}
	if strings.ContainsAny(token, "\r\n") { // which base64 of Go passes over
		return Identity{}, refuse(jwt.ErrTokenMalformed)
	}
	var keys *keySet
	if v.ring != nil {
		keys = v.ring.keys.Load()
	}
	digest := sha256.Sum256([]byte(token))
	id, known := v.known.find(digest, keys, time.Now())
	if !known {
		var err error
		if id, keys, err = v.read(token, keys); err != nil {
			return Identity{}, err
		}
		v.known.keep(digest, keys, id)
	}
	id.token = token
	return id, nil
}

// read verifies a token with keys, or with newer ones, which it returns.
func (v *Verifier) read(token string, keys *keySet) (Identity, *keySet, error) {
	var c claims
	parsed, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return v.key(t, keys) })
	if errors.Is(err, errUnknownKey) || errors.Is(err, jwt.ErrTokenSignatureInvalid) && keys.guesses(parsed) {
		if keys, err = v.ring.renewed(); err == nil {
			c = claims{}
			_, err = v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return v.key(t, keys) })
		}
	}
	if err != nil {
		return Identity{}, nil, refuse(err)
	}
	id, err := c.identity()
	if id.Expires = c.ExpiresAt.Time; !time.Now().Before(id.Expires) {
		id.Expires = id.Expires.Add(v.leeway)
	}
	return id, keys, err
}

// key finds the key for a token by its algorithm, so that a public key is never
// taken for a shared secret.
func (v *Verifier) key(token *jwt.Token, keys *keySet) (any, error) {
	if _, critical := token.Header["crit"]; critical {
		return nil, jwt.ErrTokenUnverifiable // RFC 7515, 4.1.11: what is critical must be understood
	}
	if _, symmetric := token.Method.(*jwt.SigningMethodHMAC); symmetric {
		if len(v.secret) == 0 {
			return nil, jwt.ErrTokenUnverifiable
		}
		return v.secret, nil
	}
	if v.ring == nil {
		return nil, jwt.ErrTokenUnverifiable
	}
	return keys.of(token)
}

// refuse says what is wrong with a token: when it is good, which a client can do
// something about, and of a good signature whom it is for; otherwise no more than
// that it is not good.
func refuse(err error) error {
	switch {
	case errors.Is(err, errKeysAway):
		return schemas.Refuse(schemas.Unavailable, "the keys that tokens are signed with cannot be fetched at present")
	case errors.Is(err, jwt.ErrTokenExpired):
		return schemas.Refuse(schemas.TokenExpired, "the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return schemas.Refuse(schemas.TokenNotYetValid, "the token is not valid yet")
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return schemas.Refuse(schemas.Unauthenticated, "the token is for another audience")
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return schemas.Refuse(schemas.Unauthenticated, "the token is of another issuer")
	}
	return schemas.Refuse(schemas.Unauthenticated, "the token is not valid")
}

// Derive returns 32 bytes that all who verify tokens by the same secret derive alike
// for a purpose (RFC 5869), and nobody else; nil without a secret.
func (v *Verifier) Derive(purpose string) []byte {
	if len(v.secret) == 0 {
		return nil
	}
	const size = 32
	key, err := hkdf.Key(sha256.New, v.secret, nil, purpose, size)
	if err != nil {
		panic("identity: " + err.Error()) // only a larger size fails
	}
	return key
}

// Sign makes a token with the shared secret, for dev mode.
func (v *Verifier) Sign(user, name, role string, lasts time.Duration) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: v.issuer, Audience: v.audiences,
			Subject: user, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(lasts)),
		},
		Name: name, Role: role,
	}).SignedString(v.secret)
}
