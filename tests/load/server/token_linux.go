package server

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Secret signs the tokens of a run.
const Secret = "the load generator and its server" // 32 bytes or more, as Latido wants

const tokenLife = 24 * time.Hour

// Token is a token of a user.
func Token(user string) string {
	claims := jwt.MapClaims{"sub": user, "exp": jwt.NewNumericDate(time.Now().Add(tokenLife))}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(Secret))
	if err != nil {
		panic(err) // HS256 signs with any bytes
	}
	return signed
}
