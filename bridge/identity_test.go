package bridge

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/schemas"
)

// keyServer serves one public key, until it is told to be down.
func keyServer(t *testing.T, id string, public ed25519.PublicKey) *httptest.Server {
	t.Helper()
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id, "x": base64.RawURLEncoding.EncodeToString(public),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(set) // a client that went away needs no answer
	}))
	t.Cleanup(server.Close)
	return server
}

func TestTokensSignedWithAKeyOfAJWKS(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := keyServer(t, "k1", public)
	v, err := newVerifier(t.Context(), []byte("a shared secret of thirty-two bytes"), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(method jwt.SigningMethod, kid string, key any) string {
		token := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "ana", "role": "operator", "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = kid
		text, err := token.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := signed(jwt.SigningMethodEdDSA, "k1", private)
	if id, err := v.verify(good); err != nil || id.User != "ana" || id.Role != "operator" {
		t.Errorf("a good token: %+v, %v", id, err)
	}
	server.Close() // the keys that are known go on to serve
	if _, err := v.verify(good); err != nil {
		t.Errorf("while the key server is away: %v", err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"another key under the same name":   signed(jwt.SigningMethodEdDSA, "k1", other),
		"the public key as a shared secret": signed(jwt.SigningMethodHS256, "k1", []byte(public)),
	} {
		if id, err := v.verify(token); schemas.RefusalOf(err).Code != schemas.Unauthenticated {
			t.Errorf("%s: %+v, %v", name, id, err)
		}
	}
}
