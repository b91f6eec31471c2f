package identity_test

import (
	"compress/gzip"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/identity"
)

// A new key is taken within seconds although strangers ask for keys that nobody
// has, and what it costs the issuer is bounded by time.
func TestARotationIsNoticedWhateverStrangersSend(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	first, second := newSigner(t, "first", jwt.SigningMethodEdDSA), newSigner(t, "second", jwt.SigningMethodEdDSA)
	issuer.serve(t, first.jwk(t, nil))
	v := run(t, identity.Config{JWKSURL: issuer.URL})
	old := first.token(t, nil)
	expect(t, v, "the first key", old, 0)

	started, before := time.Now(), issuer.fetches.Load()
	var strangers sync.WaitGroup
	stranger := newSigner(t, "", jwt.SigningMethodEdDSA)
	ask := func(n int) {
		token := signed(t, stranger.method, fmt.Sprint("stranger", n), stranger.key, nil)
		if id, err := v.Verify(token); err == nil {
			t.Errorf("a stranger is %s", id)
		}
	}
	for i := range 1000 {
		strangers.Go(func() { ask(i) })
	}
	strangers.Wait()
	for i := range 500 { // they go on while the key is changed
		strangers.Go(func() { ask(1000 + i) })
	}
	issuer.serve(t, second.jwk(t, nil))
	expect(t, v, "the second key, at once", second.token(t, nil), 0)
	expect(t, v, "the first key, taken back", old, schemas.Unauthenticated)
	strangers.Wait()
	elapsed := time.Since(started)
	if fetched := issuer.fetches.Load() - before; fetched > 2+int64(elapsed/time.Second) {
		t.Errorf("%d fetches within %v", fetched, elapsed)
	}
}

func TestWhileTheKeysAreAway(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	key, later := newSigner(t, "k", jwt.SigningMethodES256), newSigner(t, "later", jwt.SigningMethodES256)
	down := func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) }
	issuer.handle(down)
	v := run(t, identity.Config{Secret: secret, JWKSURL: issuer.URL})
	await(t, "readiness to say why", func() bool { err := v.Ready(); return err != nil && strings.Contains(err.Error(), "502") })
	expect(t, v, "a key that cannot be fetched", key.token(t, nil), schemas.Unavailable)
	expect(t, v, "the shared secret", shared(t, nil), 0)

	issuer.serve(t, key.jwk(t, nil))
	await(t, "readiness after the server came up", func() bool { return v.Ready() == nil })
	expect(t, v, "the key, at last", key.token(t, nil), 0)

	fetched := issuer.fetches.Load()
	issuer.handle(down)
	expect(t, v, "a new key", later.token(t, nil), schemas.Unavailable)
	await(t, "another try", func() bool { return issuer.fetches.Load() > fetched+1 })
	if err := v.Ready(); err != nil {
		t.Errorf("known keys serve on, but: %v", err)
	}
	expect(t, v, "the known key", key.token(t, jwt.MapClaims{"sub": "luis"}), 0)
	expect(t, v, "another key under its name", signed(t, key.method, "k", later.key, nil), schemas.Unauthenticated)

	issuer.serve(t)
	await(t, "readiness without any key", func() bool { return v.Ready() != nil })
	expect(t, v, "the key, taken back", key.token(t, nil), schemas.Unauthenticated)
}

func TestHostileKeyServers(t *testing.T) {
	t.Parallel()
	key := newSigner(t, "k", jwt.SigningMethodEdDSA)
	endless := func(w io.Writer) {
		for line := strings.Repeat(" ", 4096); ; {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	}
	for name, answer := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, _ *http.Request) { endless(w) },
		"a bomb": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			endless(gzip.NewWriter(w))
		},
		"no JSON":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"no set":    func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
		"a number":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":7}`) },
		"a circle":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) },
		"a silence": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			issuer := newIssuer(t)
			issuer.handle(answer)
			v := run(t, identity.Config{JWKSURL: issuer.URL})
			expect(t, v, name, key.token(t, nil), schemas.Unavailable)
			if v.Ready() == nil {
				t.Error("ready")
			}
		})
	}
}

// Of a set only those keys serve that can be for signing our tokens; the others
// do no harm.
func TestWhichKeysOfASetServe(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	nameless, encryption, other := newSigner(t, "", jwt.SigningMethodRS256), newSigner(t, "enc", jwt.SigningMethodRS256), newSigner(t, "other", jwt.SigningMethodRS256)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	small := signer{"small", jwt.SigningMethodRS256, weak}
	named := newSigner(t, "named", jwt.SigningMethodEdDSA)
	issuer.serve(t,
		map[string]any{"kty": "AKP", "kid": "later", "alg": "ML-DSA-44", "pub": "AA"},
		map[string]any{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
		map[string]any{"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
		map[string]any{"kty": "EC", "kid": "off", "crv": "P-256", "x": "AA", "y": "AA"},
		encryption.jwk(t, map[string]any{"use": "enc"}), small.jwk(t, nil), other.jwk(t, map[string]any{"alg": "RS384"}),
		nameless.jwk(t, map[string]any{"x5u": "http://127.0.0.1:1/never-fetched"}), named.jwk(t, nil),
	)
	v := run(t, identity.Config{JWKSURL: issuer.URL})
	expect(t, v, "a key without a name", nameless.token(t, nil), 0)
	expect(t, v, "a key without a name, for a token with one", signed(t, nameless.method, "x", nameless.key, nil), 0)
	expect(t, v, "a key among strange ones", named.token(t, nil), 0)
	expect(t, v, "an encryption key", encryption.token(t, nil), schemas.Unauthenticated)
	expect(t, v, "a key of 1024 bits", small.token(t, nil), schemas.Unauthenticated)
	expect(t, v, "a key for another algorithm", other.token(t, nil), schemas.Unauthenticated)
	expect(t, v, "a secret that everybody can fetch", signed(t, jwt.SigningMethodHS256, "secret", []byte("secret"), nil), schemas.Unauthenticated)

	// A key that has no name is changed.
	next := newSigner(t, "", jwt.SigningMethodRS256)
	issuer.serve(t, next.jwk(t, nil))
	expect(t, v, "the next key without a name", next.token(t, nil), 0)
	expect(t, v, "the one before", nameless.token(t, nil), schemas.Unauthenticated)
}
