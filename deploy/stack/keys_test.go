package stack_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A stack whose keys cannot be fetched starts, says so, and serves when they come.
// Then it takes tokens of its audience and issuer, at the bridge and the services.
func TestKeysThatComeLater(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var up atomic.Bool
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !up.Load() {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(issuer.Close)
	cfg := config(t)
	cfg.Secret, cfg.JWKSURL, cfg.Audiences, cfg.Issuer = nil, issuer.URL, []string{"latido"}, "https://id.example"
	running := start(t, cfg)
	readiness := func() (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+running.HTTPAddr()+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }() // it was only read
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	await(t, "red readiness with the reason", func() bool {
		status, text := readiness()
		return status == http.StatusServiceUnavailable && strings.Contains(text, "keys") && strings.Contains(text, "503")
	})
	signed := func(audience, issuer string) string {
		token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": "ana", "aud": audience, "iss": issuer, "exp": time.Now().Add(time.Hour).Unix()})
		token.Header["kid"] = "k"
		text, err := token.SignedString(private)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	good := signed("latido", "https://id.example")
	if code := askThrough(t, running, good); code != 4501 {
		t.Errorf("before the keys came: %d", code)
	}
	up.Store(true)
	await(t, "readiness", func() bool { status, _ := readiness(); return status == http.StatusOK })
	for token, want := range map[string]int{
		good: 0, signed("shop", "https://id.example"): 4010, signed("latido", "https://other.example"): 4010,
	} {
		if code := askThrough(t, running, token); code != want {
			t.Errorf("a token is answered %d, want %d", code, want)
		}
	}
}
