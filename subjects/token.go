package subjects

import (
	"errors"
	"strings"
)

// ErrToken is returned when a subject token is not one that [Token] wrote.
var ErrToken = errors.New("not a token")

const (
	escape   = '='
	hexUpper = "0123456789ABCDEF"
)

// Token escapes any string, the empty one included, into exactly one subject
// token that is also valid within a key of a NATS bucket. Letters, digits, "_"
// and "-" stay as they are, so that plain ids remain readable to an operator;
// every other byte becomes "=" and two upper-case hexadecimal digits; the empty
// string becomes "=". Different strings have different tokens.
func Token(s string) string {
	if s == "" {
		return string(escape)
	}
	escaped := 0
	for i := range len(s) {
		if !plain(s[i]) {
			escaped++
		}
	}
	if escaped == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 2*escaped)
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{escape, hexUpper[c>>4], hexUpper[c&15]})
		}
	}
	return b.String()
}

// ParseToken is the inverse of [Token]. It refuses every spelling that Token
// does not write (lower-case digits, an escaped plain byte), so that one string
// has one token and a name that merely looks right is never accepted.
func ParseToken(token string) (string, error) {
	if token == string(escape) {
		return "", nil
	}
	if token == "" {
		return "", ErrToken
	}
	if strings.IndexByte(token, escape) < 0 {
		for i := range len(token) {
			if !plain(token[i]) {
				return "", ErrToken
			}
		}
		return token, nil
	}
	out := make([]byte, 0, len(token))
	for i := 0; i < len(token); i++ {
		c := token[i]
		if plain(c) {
			out = append(out, c)
			continue
		}
		if c != escape || i+2 >= len(token) {
			return "", ErrToken
		}
		high, low := strings.IndexByte(hexUpper, token[i+1]), strings.IndexByte(hexUpper, token[i+2])
		if high < 0 || low < 0 || plain(byte(high<<4|low)) {
			return "", ErrToken
		}
		out = append(out, byte(high<<4|low))
		i += 2
	}
	return string(out), nil
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}
