package e2e

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Identity is who a client says it is.
type Identity struct{ User, Name, Role string }

// Secret signs the tokens of a run; the bridges of the run know it.
type Secret []byte

// Token is a signed token that lasts for a while; a negative while is one that
// has expired.
func (s Secret) Token(who Identity, lasts time.Duration) string {
	claims := jwt.MapClaims{"sub": who.User, "exp": jwt.NewNumericDate(time.Now().Add(lasts))}
	if who.Name != "" {
		claims["name"] = who.Name
	}
	if who.Role != "" {
		claims["role"] = who.Role
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(s))
	if err != nil {
		panic(err) // HS256 signs with any bytes
	}
	return signed
}
