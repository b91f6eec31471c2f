package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/subjects/identity"
)

// signer is a key that tokens of a test are signed with.
type signer struct {
	id     string
	method jwt.SigningMethod
	key    crypto.Signer
}

func newSigner(t testing.TB, id string, method jwt.SigningMethod) signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch method := method.(type) {
	case *jwt.SigningMethodRSA:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case *jwt.SigningMethodECDSA:
		curve := map[int]elliptic.Curve{256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()}[method.CurveBits]
		key, err = ecdsa.GenerateKey(curve, rand.Reader)
	default:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, method, key}
}

// jwk is the public key as a JWKS has it, changed by what is said in change; nil
// takes a member away.
func (s signer) jwk(t testing.TB, change map[string]any) map[string]any {
	t.Helper()
	made, err := jwkset.NewJWKFromKey(s.key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{
		KID: s.id, ALG: jwkset.ALG(s.method.Alg()), USE: jwkset.UseSig,
	}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(made.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	key := make(map[string]any)
	if err := json.Unmarshal(text, &key); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		if key[name] = value; value == nil {
			delete(key, name)
		}
	}
	return key
}

// token signs claims; what is not given of sub and exp is that of ana for an hour.
func (s signer) token(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	return signed(t, s.method, s.id, s.key, claims)
}

func signed(t testing.TB, method jwt.SigningMethod, kid string, key any, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"sub": "ana", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range claims {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	token := jwt.NewWithClaims(method, all)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// issuer serves a JWKS.
type issuer struct {
	*httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	fetches atomic.Int64
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	i := new(issuer)
	i.serve(t)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

// serve has the issuer serve these keys from now on.
func (i *issuer) serve(t testing.TB, keys ...map[string]any) {
	t.Helper()
	if keys == nil {
		keys = []map[string]any{}
	}
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	i.handle(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }) // a client that went away needs no answer
}

func (i *issuer) handle(answer http.HandlerFunc) { i.answer.Store(&answer) }

// run makes a verifier that runs until the test ends, and logs nothing.
func run(t testing.TB, config identity.Config) *identity.Verifier {
	t.Helper()
	config.Log = slog.New(slog.DiscardHandler)
	v := identity.New(config)
	done := make(chan error, 1)
	go func() { done <- v.Run(t.Context()) }()
	t.Cleanup(func() { // the test's context has ended before
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return v
}

// await waits for a condition that nothing announces.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	look, patience := time.NewTicker(time.Millisecond), time.After(time.Minute)
	defer look.Stop()
	for !condition() {
		select {
		case <-look.C:
		case <-patience:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
