package estest

import (
	"time"

	"github.com/latido/latido/subjects/identity"
)

// Verifier is that of the services which tests run.
var Verifier = identity.New(identity.Config{Secret: []byte("what the tokens of tests are signed with")})

// Proof is a token of the user, as a bridge hands it on.
func Proof(user, role string) string {
	token, err := Verifier.Sign(user, "", role, time.Hour)
	if err != nil {
		panic(err) // HMAC takes any secret
	}
	return token
}
