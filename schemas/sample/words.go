package sample

import (
	"strings"
	"time"
)

// times are spelled as RFC 3339 allows, and a few as it does not.
var times = []string{
	"2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-12-31T23:59:60Z", "2026-12-31T23:59:60.5+05:30", "2026-02-28T23:59:59.123456789012Z",
	"2026-01-01T00:00:00+14:00", "2026-01-01T00:00:00-00:00", "2024-02-29T12:00:00.1-03:30", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
	"9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00",
	"2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00+24:00", "2026-1-1T0:0:0Z", "",
}

// patterns are the patterns of our schemas, each with texts that fit.
var patterns = map[string][]string{
	`^[a-z][a-z0-9]{0,31}:`:                {"room:42", "app:", "app:a:b c\u2028/é", "a0:\u0001"},
	`^https?://`:                           {"https://a.example/b?c=d&e=f", "http://", "https://é/\n"},
	`^([01][0-9]|2[0-3]):[0-5][0-9]$`:      {"00:00", "23:59", "09:30"},
	`^[1-9][0-9]{0,5}(s|m|h|d)$`:           {"1s", "999999d", "15m"},
	`^[!-~]*$`:                             {"eyJhbGciOiJIUzI1NiJ9.e30.c2ln"},
	`^[a-z2-7]{16}$`:                       {"abcdefghijklmnop"},
	`^(https?://|data:image/)[^\x00-\x20]`: {"https://a.example/b.png"},
}

// words are a text that a schema of a string describes.
func (m maker) words(schema map[string]any) string {
	if pattern, ok := schema["pattern"].(string); ok {
		known, ok := patterns[pattern]
		if !ok {
			m.tb.Fatalf("no text is known that fits the pattern %s", pattern)
		}
		return pick(m, known...)
	}
	least, most := int(number(schema, "minLength")), int(number(schema, "maxLength"))
	switch format, _ := schema["format"].(string); format {
	case "date-time":
		if m.half() {
			return time.Unix(m.random.Int64N(1<<33), m.random.Int64N(1e9)).UTC().Format(time.RFC3339Nano)
		}
		return pick(m, times...)
	case "user":
		return pick(m, "ana", "señora", "service:ops", strings.Repeat("漢", 42), "a b", `"<&>"`)
	case "event", "key", "":
	default:
		m.tb.Fatalf("no text is known of the format %s", format)
	}
	return m.any(min(most, max(least, pick(m, least, most, m.random.IntN(20)))))
}
