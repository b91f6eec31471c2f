package schemas

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// text reads a string, and says whether it has escapes.
func (r *reading) text() (escaped bool, err error) {
	r.at++
	for {
		at := r.at // a local, for speed
		for len(r.data)-at >= 8 && areAllPlain(binary.LittleEndian.Uint64(r.data[at:])) {
			at += 8
		}
		for at < len(r.data) && plain[r.data[at]] {
			at++
		}
		r.at = at
		switch c := r.next(); {
		case c == '"':
			r.at++
			return escaped, nil
		case c == '\\':
			escaped = true
			if err := r.escape(); err != nil {
				return escaped, err
			}
		case c < utf8.RuneSelf: // a control character, or the end
			return escaped, r.broken()
		default:
			from := r.at
			for r.next() >= utf8.RuneSelf {
				r.at++
			}
			if !utf8.Valid(r.data[from:r.at]) {
				return escaped, r.refuse("the text is not UTF-8")
			}
		}
	}
}

// areAllPlain says of eight bytes at once what plain says of each.
func areAllPlain(eight uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, backslash := eight^ones*'"', eight^ones*'\\'
	return (eight|(eight-ones*' ')|(quote-ones)|(backslash-ones))&tops == 0
}

// escape reads what a backslash begins.
func (r *reading) escape() error {
	from := r.at
	r.at++
	c := r.next()
	if c != 'u' {
		if c == 0 || !strings.ContainsRune(`"\/bfnrt`, rune(c)) {
			return r.broken()
		}
		r.at++
		if c == '/' {
			r.replace(from, "/")
		}
		return nil
	}
	unit, err := r.unit()
	switch {
	case err != nil:
		return err
	case unit == 0:
		return r.refuse("U+0000 cannot be stored")
	case isHighSurrogate(unit):
		if r.next() != '\\' || r.at+1 >= len(r.data) || r.data[r.at+1] != 'u' {
			return r.refuse("half of a surrogate pair")
		}
		r.at++
		if low, err := r.unit(); err != nil || !isLowSurrogate(low) {
			return r.refuse("half of a surrogate pair")
		}
	case isLowSurrogate(unit):
		return r.refuse("half of a surrogate pair")
	case unit < utf8.RuneSelf && plain[unit] && unit != 0x7f:
		r.replace(from, string(unit))
	}
	return nil
}

func isHighSurrogate(unit rune) bool { return 0xd800 <= unit && unit < 0xdc00 }
func isLowSurrogate(unit rune) bool  { return 0xdc00 <= unit && unit < 0xe000 }

// unit reads "u" and four hexadecimal digits.
func (r *reading) unit() (rune, error) {
	if len(r.data)-r.at < 5 {
		r.at = len(r.data)
		return 0, r.broken()
	}
	var unit rune
	for _, c := range r.data[r.at+1 : r.at+5] {
		switch {
		case isDigit(c):
			unit = unit<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			unit = unit<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, r.broken()
		}
	}
	r.at += 5
	return unit, nil
}

// number reads a number (RFC 8259, section 6).
func (r *reading) number() error {
	from := r.at
	if r.next() == '-' {
		r.at++
	}
	if r.next() == '0' {
		r.at++
	} else if !r.digits() {
		return r.broken()
	}
	if r.next() == '.' {
		r.at++
		if !r.digits() {
			return r.broken()
		}
	}
	exponent := r.at
	if r.next()|0x20 == 'e' {
		r.at++
		if c := r.next(); c == '+' || c == '-' {
			r.at++
		}
		if !r.digits() {
			return r.broken()
		}
	}
	// So few digits cannot leave the range of a double.
	if exponent-from < 200 && r.at-exponent < 4 {
		return nil
	}
	written := string(r.data[from:r.at])
	value, err := strconv.ParseFloat(written, 64)
	if err != nil || value == 0 && strings.ContainsAny(written[:exponent-from], "123456789") {
		return r.refuse("no double holds this number")
	}
	return nil
}

func (r *reading) digits() bool {
	from := r.at
	for isDigit(r.next()) {
		r.at++
	}
	return r.at > from
}

// fewKeys is how many keys are compared each with each.
const fewKeys = 16

// repeated returns a key that is there twice, or nil. It may sort them.
func repeated(keys [][]byte) []byte {
	if len(keys) <= fewKeys {
		for i, key := range keys {
			for _, earlier := range keys[:i] {
				if bytes.Equal(key, earlier) {
					return key
				}
			}
		}
		return nil
	}
	slices.SortFunc(keys, bytes.Compare)
	for i, key := range keys[1:] {
		if bytes.Equal(key, keys[i]) {
			return key
		}
	}
	return nil
}

// unescape returns what a string without its quotes stands for. It was read already.
func unescape(text []byte) []byte {
	var plain string
	if json.Unmarshal(slices.Concat([]byte(`"`), text, []byte(`"`)), &plain) != nil {
		return text
	}
	return []byte(plain)
}

// longKey is how much of a key a path quotes, in bytes.
const longKey = 40

// write appends the step to a path: ".name", "[3]", or `["any name"]`.
func (s step) write(b *strings.Builder) {
	if s.array {
		b.WriteString("[" + strconv.Itoa(s.index) + "]")
		return
	}
	if s.key == nil {
		return
	}
	key := string(s.key)
	if len(key) > longKey {
		key = strings.ToValidUTF8(key[:longKey], "") + "…"
	}
	switch {
	case strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-…") != "":
		b.WriteString(`["` + key + `"]`)
	case b.Len() > 0:
		b.WriteString("." + key)
	default:
		b.WriteString(key)
	}
}
