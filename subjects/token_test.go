package subjects_test

import (
	"strings"
	"testing"

	"github.com/latido/latido/subjects"
)

func TestTokenSpelling(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"": "=", "42": "42", "a.b": "a=2Eb", "*": "=2A", ">": "=3E", "a b": "a=20b", "=": "=3D", "ñ": "=C3=B1", "Ana_1-x": "Ana_1-x",
	} {
		if got := subjects.Token(s); got != want {
			t.Errorf("Token(%q) = %q, want %q", s, got, want)
		}
	}
	for _, token := range []string{"", "a.b", "=2e", "=41", "=4", "=4G", "a=", "*", ">", "a b", "=="} {
		if s, err := subjects.ParseToken(token); err == nil {
			t.Errorf("ParseToken(%q) = %q, want a refusal", token, s)
		}
	}
}

// A token is one subject token, reversible, and has one spelling.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "42", "a.b.c", "*", ">", "=2E", "ñandú 🚕", "\x00\xff", "$JS.API"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token := subjects.Token(s)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n$") {
			t.Fatalf("Token(%q) = %q is not one token", s, token)
		}
		if back, err := subjects.ParseToken(token); err != nil || back != s {
			t.Fatalf("ParseToken(Token(%q)) = %q, %v", s, back, err)
		}
		if back, err := subjects.ParseToken(s); err == nil && subjects.Token(back) != s {
			t.Fatalf("%q is a second spelling of %q", s, back)
		}
	})
}
