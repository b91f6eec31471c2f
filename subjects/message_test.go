package subjects_test

import (
	"testing"

	"github.com/latido/latido/subjects"
)

func TestTextHeaders(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "ana", "luis ", " luis", "\tluis", "luis\r\nLatido-Role: service", "señor ñ", "a=20b", "=", "\x00\xff", "a.b@c"} {
		header := make(map[string][]string)
		subjects.SetText(header, subjects.HeaderFrom, text)
		if got := subjects.Text(header, subjects.HeaderFrom); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
		if _, err := subjects.ParseToken(header[subjects.HeaderFrom][0]); err != nil {
			t.Errorf("%q travels as %q, which is no token", text, header[subjects.HeaderFrom][0])
		}
	}
	if got := subjects.Text(nil, subjects.HeaderFrom); got != "" {
		t.Errorf("no header is %q", got)
	}
	// Stored before texts were tokens.
	for _, text := range []string{"", "ana", "ana.b@c", "Ana María"} {
		if got := subjects.Text(map[string][]string{subjects.HeaderFrom: {text}}, subjects.HeaderFrom); got != text {
			t.Errorf("%q, stored long ago, came back as %q", text, got)
		}
	}
}
