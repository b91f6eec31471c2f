package identity_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latido/latido/schemas"
	"github.com/latido/latido/subjects/identity"
)

var secret = []byte("a shared secret of thirty-two bytes")

func shared(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	return signed(t, jwt.SigningMethodHS256, "", secret, claims)
}

// expect verifies a token; code 0 is that it is good.
func expect(t *testing.T, v *identity.Verifier, name, token string, code schemas.Code) identity.Identity {
	t.Helper()
	id, err := v.Verify(token)
	switch {
	case code == 0 && err != nil:
		t.Errorf("%s: %v", name, err)
	case code != 0 && err == nil:
		t.Errorf("%s: taken as %s, want %s", name, id, code.Reason())
	case code != 0 && schemas.RefusalOf(err).Code != code:
		t.Errorf("%s: %v, want %s", name, err, code.Reason())
	}
	return id
}

func TestWhoATokenIsOf(t *testing.T) {
	t.Parallel()
	v := identity.New(identity.Config{Secret: secret})
	for _, user := range []string{"ana", "Ana", "ana maría", "a.b@c", "josé", "jose\u0301", "service", "Service:ops", "*", ">", "=", strings.Repeat("ñ", 64)} {
		if id := expect(t, v, user, shared(t, jwt.MapClaims{"sub": user}), 0); id.User != user {
			t.Errorf("%q is taken for %q", user, id.User)
		}
	}
	for name, user := range map[string]any{
		"blank behind": "luis ", "blank before": " luis", "no-break space": "luis\u00a0", "ideographic space": "\u3000luis", "tab": "luis\t", "tab within": "lu\tis",
		"line break": "luis\n", "carriage return": "lu\ris", "null": "luis\x00", "delete": "lu\x7fis", "zero width space": "luis\u200b", "zero width joiner": "lu\u200dis",
		"byte order mark": "\ufeffluis", "right to left": "lu\u202eis", "line separator": "lu\u2028is", "soft hyphen": "lu\u00adis", "replacement": "lu\ufffdis",
		"empty": "", "blank": " ", "too long": strings.Repeat("a", 129), "too many bytes": strings.Repeat("ñ", 65), "a number": 7, "nothing": nil,
		"a service": "service:ops", "no service": "service:",
	} {
		expect(t, v, name, shared(t, jwt.MapClaims{"sub": user}), schemas.Unauthenticated)
	}
	if id := expect(t, v, "a service", shared(t, jwt.MapClaims{"sub": "service:ops", "role": "service"}), 0); id.User != "service:ops" {
		t.Errorf("a service is %q", id.User)
	}
	for _, role := range []string{"service ", " service", "SERVICE", "service\n", "serv\u200bice"} {
		if id := expect(t, v, role, shared(t, jwt.MapClaims{"role": role}), 0); id.Role != role {
			t.Errorf("role %q is taken for %q", role, id.Role)
		}
		expect(t, v, role, shared(t, jwt.MapClaims{"sub": "service:ops", "role": role}), schemas.Unauthenticated)
	}
	// A claim of another name is another claim, whatever encoding/json thinks of it.
	if id := expect(t, v, "another claim", shared(t, jwt.MapClaims{"ROLE": "service", "Sub": "luis", "ſub": "luis", "Channels": []any{}}), 0); id.Role != "" || id.User != "ana" || id.Grants != nil {
		t.Errorf("taken for claims of ours: %#v %q", id, id.Role)
	}
	expect(t, v, "EXP is not exp", shared(t, jwt.MapClaims{"exp": nil, "EXP": time.Now().Add(time.Hour).Unix()}), schemas.Unauthenticated)
	expect(t, v, "a long name", shared(t, jwt.MapClaims{"name": strings.Repeat("n", 201)}), schemas.Unauthenticated)
	expect(t, v, "U+0000 in a name", shared(t, jwt.MapClaims{"name": "a\x00na"}), schemas.Unauthenticated)
	expect(t, v, "U+0000 in a picture", shared(t, jwt.MapClaims{"picture": "p\x00"}), schemas.Unauthenticated)
	expect(t, v, "a long picture", shared(t, jwt.MapClaims{"picture": strings.Repeat("p", 1001)}), schemas.Unauthenticated)
}

func TestWhenATokenIsGood(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for leeway, v := range map[time.Duration]*identity.Verifier{
		time.Minute: identity.New(identity.Config{Secret: secret}),
		time.Hour:   identity.New(identity.Config{Secret: secret, Leeway: time.Hour}),
		0:           identity.New(identity.Config{Secret: secret, Leeway: -1}),
	} {
		within, beyond := leeway-20*time.Second, leeway+20*time.Second
		late := shared(t, jwt.MapClaims{"exp": in(-within)})
		if leeway > 0 {
			if id := expect(t, v, "expired within the leeway", late, 0); time.Until(id.Expires) > 21*time.Second {
				t.Errorf("it is taken until %v", id.Expires)
			}
			expect(t, v, "again", late, 0)
			soon := shared(t, jwt.MapClaims{"exp": in(within)})
			if id := expect(t, v, "expires soon", soon, 0); time.Until(id.Expires) > within {
				t.Errorf("what expires within %v is taken until %v", within, id.Expires)
			}
			expect(t, v, "not yet valid within the leeway", shared(t, jwt.MapClaims{"nbf": in(within)}), 0)
			expect(t, v, "issued within the leeway", shared(t, jwt.MapClaims{"iat": in(within)}), 0)
		}
		expect(t, v, "expired", shared(t, jwt.MapClaims{"exp": in(-beyond)}), schemas.TokenExpired)
		expect(t, v, "not yet valid", shared(t, jwt.MapClaims{"nbf": in(beyond)}), schemas.TokenNotYetValid)
		expect(t, v, "not issued yet", shared(t, jwt.MapClaims{"iat": in(beyond)}), schemas.TokenNotYetValid)
		expect(t, v, "for ever", shared(t, jwt.MapClaims{"exp": nil}), schemas.Unauthenticated)
	}
}

func TestAudienceAndIssuer(t *testing.T) {
	t.Parallel()
	any := identity.New(identity.Config{Secret: secret})
	strict := identity.New(identity.Config{Secret: secret, Audiences: []string{"latido", "latido-test"}, Issuer: "https://id.example"})
	for name, test := range map[string]struct {
		claims jwt.MapClaims
		code   schemas.Code
	}{
		"both":                  {jwt.MapClaims{"aud": "latido", "iss": "https://id.example"}, 0},
		"one of several":        {jwt.MapClaims{"aud": []string{"shop", "latido-test"}, "iss": "https://id.example"}, 0},
		"another audience":      {jwt.MapClaims{"aud": "shop", "iss": "https://id.example"}, schemas.Unauthenticated},
		"an audience like it":   {jwt.MapClaims{"aud": "latido ", "iss": "https://id.example"}, schemas.Unauthenticated},
		"no audience":           {jwt.MapClaims{"iss": "https://id.example"}, schemas.Unauthenticated},
		"an empty audience":     {jwt.MapClaims{"aud": []string{}, "iss": "https://id.example"}, schemas.Unauthenticated},
		"another issuer":        {jwt.MapClaims{"aud": "latido", "iss": "https://id.example/"}, schemas.Unauthenticated},
		"no issuer":             {jwt.MapClaims{"aud": "latido"}, schemas.Unauthenticated},
		"neither":               {jwt.MapClaims{}, schemas.Unauthenticated},
		"named in another case": {jwt.MapClaims{"AUD": "latido", "ISS": "https://id.example"}, schemas.Unauthenticated},
	} {
		token := shared(t, test.claims)
		expect(t, strict, name, token, test.code)
		expect(t, any, name+", where that does not matter", token, 0)
	}
}

func TestHowATokenIsSigned(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	rs, es, ed := newSigner(t, "rs", jwt.SigningMethodRS256), newSigner(t, "es", jwt.SigningMethodES256), newSigner(t, "ed", jwt.SigningMethodEdDSA)
	es384 := newSigner(t, "es384", jwt.SigningMethodES384)
	issuer.serve(t, rs.jwk(t, nil), es.jwk(t, nil), ed.jwk(t, nil), es384.jwk(t, map[string]any{"alg": nil}))
	v := run(t, identity.Config{Secret: secret, JWKSURL: issuer.URL})
	expect(t, v, "RS256", rs.token(t, nil), 0)
	expect(t, v, "ES256", es.token(t, nil), 0)
	expect(t, v, "EdDSA", ed.token(t, nil), 0)
	expect(t, v, "ES384 with a key that does not say", es384.token(t, nil), 0)
	expect(t, v, "HS512", signed(t, jwt.SigningMethodHS512, "", secret, nil), 0)
	expect(t, v, "HS256 with the name of a public key", signed(t, jwt.SigningMethodHS256, "rs", secret, nil), 0)
	expect(t, v, "without a name", signed(t, rs.method, "", rs.key, nil), 0)

	public, err := x509.MarshalPKIXPublicKey(rs.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	header := func(text string) string {
		good := rs.token(t, nil)
		_, rest, _ := strings.Cut(good, ".")
		return base64.RawURLEncoding.EncodeToString([]byte(text)) + "." + rest
	}
	critical := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "ana", "exp": 1 << 40})
	critical.Header["crit"] = []string{"b64"}
	withCritical, err := critical.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	good := shared(t, nil)
	for name, token := range map[string]string{
		"unsigned":                        signed(t, jwt.SigningMethodNone, "", jwt.UnsafeAllowNoneSignatureType, nil),
		"none, spelt otherwise":           header(`{"alg":"None","typ":"JWT"}`),
		"no algorithm":                    header(`{"typ":"JWT"}`),
		"a public key as shared secret":   signed(t, jwt.SigningMethodHS256, "rs", inPEM, nil),
		"its bytes as shared secret":      signed(t, jwt.SigningMethodHS256, "rs", public, nil),
		"the right key, another method":   signed(t, jwt.SigningMethodRS512, "rs", rs.key, nil),
		"another key under the name":      signed(t, jwt.SigningMethodRS256, "rs", newSigner(t, "", jwt.SigningMethodRS256).key, nil),
		"the name of another key":         signed(t, jwt.SigningMethodRS256, "ed", rs.key, nil),
		"PS256":                           signed(t, jwt.SigningMethodPS256, "rs", rs.key, nil),
		"another secret":                  signed(t, jwt.SigningMethodHS256, "", []byte("another secret of thirty-two bytes!"), nil),
		"the empty secret":                signed(t, jwt.SigningMethodHS256, "", []byte{}, nil),
		"something critical":              withCritical,
		"empty":                           "",
		"no token":                        "ana",
		"dots":                            "..",
		"blanks around":                   " " + good,
		"a line break behind":             good + "\n",
		"padding":                         good + "=",
		"huge":                            strings.Repeat("a", 9000),
		"a token and more":                good + ".x",
		"its key within its own header":   header(`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}`),
		"a path in the name of the key":   signed(t, jwt.SigningMethodHS256, "../../dev/null", []byte{0}, nil),
		"the secret, where there is none": "",
	} {
		expect(t, v, name, token, schemas.Unauthenticated)
	}
	expect(t, identity.New(identity.Config{}), "a verifier that was told nothing", signed(t, jwt.SigningMethodHS256, "", []byte{}, nil), schemas.Unauthenticated)
	expect(t, run(t, identity.Config{JWKSURL: issuer.URL}), "a secret that is not set", signed(t, jwt.SigningMethodHS256, "", []byte{}, nil), schemas.Unauthenticated)
}

func TestATokenIsNotShown(t *testing.T) {
	t.Parallel()
	token := shared(t, nil)
	id, err := identity.New(identity.Config{Secret: secret}).Verify(token)
	if err != nil || id.Token() != token {
		t.Fatalf("%v, and the token is %q", err, id.Token())
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("in", "who", id, "pointed to", &id)
	for _, shown := range []string{fmt.Sprintf("%v %+v %s %#v", id, id, id, id), log.String()} {
		if strings.Contains(shown, token) {
			t.Errorf("shown: %s", shown)
		}
	}
}
