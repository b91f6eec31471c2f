package kit

import (
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Identity is who a client says it is. Only the user is needed.
type Identity struct{ User, Name, Role, Picture string }

// Secret signs the tokens of a stage; its bridges know it.
type Secret []byte

// tokenLasts is far longer than a test does.
const tokenLasts = time.Hour

// Token is a signed token that lasts longer than the test.
func (s Secret) Token(who Identity) string { return s.TokenFor(who, tokenLasts) }

// TokenFor is a signed token that lasts for a while; a negative while is one that
// has expired.
func (s Secret) TokenFor(who Identity, lasts time.Duration) string {
	claims := map[string]any{"sub": who.User}
	for name, value := range map[string]string{"name": who.Name, "role": who.Role, "picture": who.Picture} {
		if value != "" {
			claims[name] = value
		}
	}
	return s.Sign(claims, lasts)
}

// Sign is a signed token with claims as they are, beside the one of when it expires.
func (s Secret) Sign(claims map[string]any, lasts time.Duration) string {
	claims = maps.Clone(claims)
	claims["exp"] = jwt.NewNumericDate(time.Now().Add(lasts))
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims)).SignedString([]byte(s))
	if err != nil {
		panic(err) // HS256 signs with any bytes
	}
	return signed
}
