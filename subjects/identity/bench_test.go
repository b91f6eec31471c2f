package identity_test

import (
	"fmt"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/subjects/identity"
)

// What a token costs when it is verified, and when it is known.
func BenchmarkVerify(b *testing.B) {
	issuer := newIssuer(b)
	signers := []signer{newSigner(b, "rs", jwt.SigningMethodRS256), newSigner(b, "es", jwt.SigningMethodES256), newSigner(b, "ed", jwt.SigningMethodEdDSA)}
	var keys []map[string]any
	for _, s := range signers {
		keys = append(keys, s.jwk(b, nil))
	}
	issuer.serve(b, keys...)
	v := run(b, identity.Config{Secret: secret, JWKSURL: issuer.URL})
	await(b, "the keys", func() bool { return v.Ready() == nil })
	claims := func(n int) jwt.MapClaims {
		return jwt.MapClaims{"sub": fmt.Sprint("user", n), "name": "Ana María", "role": "operator", "channels": []identity.Grant{{Pattern: "app:shop-*", Read: true}}}
	}
	verify := func(name string, make func(n int) string, different int) {
		tokens := []string{}
		for n := range different {
			tokens = append(tokens, make(n))
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := v.Verify(tokens[i%different]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	const unknown = 5_000 // more than are remembered
	verify("HS256", func(n int) string { return shared(b, claims(n)) }, unknown)
	for _, s := range signers {
		verify(s.method.Alg(), func(n int) string { return s.token(b, claims(n)) }, unknown)
	}
	verify("known", func(n int) string { return signers[1].token(b, claims(n)) }, 10)
}
