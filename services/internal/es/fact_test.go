package es

import (
	"strings"
	"testing"

	"github.com/latido/latido/schemas"
)

// TestFactsDoNotOutgrowTheirCommands: what fits a browser's frame is stored in a body that fits a reader's.
func TestFactsDoNotOutgrowTheirCommands(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		text string
		want int // bytes of the body, 0 for a refusal
	}{
		{"a <b> & c", len(`{"text":"a <b> & c"}`)},
		{strings.Repeat("&", 60_000), 60_000 + len(`{"text":""}`)},
		{strings.Repeat("\x01", 60_000), 0}, // six bytes each
		{strings.Repeat("é", 40_000), 0},
	} {
		body, err := encode(Event{Name: "new_message", Data: map[string]string{"text": row.text}})
		if row.want > 0 && (err != nil || len(body) != row.want) {
			t.Errorf("%.20q: %d bytes, %v, want %d", row.text, len(body), err, row.want)
		}
		if row.want == 0 && (err == nil || schemas.RefusalOf(err).Code != schemas.TooLarge) {
			t.Errorf("%.20q: %d bytes, %v", row.text, len(body), err)
		}
	}
}
