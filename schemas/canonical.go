package schemas

import (
	"bytes"
	"strings"
	"sync"
	"unicode/utf8"
)

const maxDepth = 64 // brackets within brackets, far beyond any body of ours

// MaxFrame is the largest frame of an event, in bytes, that its readers can be sent whatever the settings are. Of it
// MaxEnvelope is left for what goes with the data: channel, event, sender, key, sequence and time, even if all are escaped.
const (
	MaxFrame    = 64 << 10
	MaxEnvelope = 4 << 10
)

// Canonical returns data as all readers can take it: JSON in UTF-8 without blanks between its tokens, at most most bytes
// long (0 is no bound). Keys stay in their order and numbers as they are spelled, so that integers above 2^53 pass; of
// strings only escapes that stand for printable ASCII are written plainly, since decoders of times do not know them. It is
// one pass, and returns data itself, or a part of it, without allocating when that is canonical already.
//
// Refused, with [InvalidJSON] and the path below name as the field ("data.items[3].price"), is what some reader would
// lose: other text, a byte order mark, numbers that no double holds (RFC 8259, section 6), lone surrogates (section 8.2),
// names given twice in one object (section 4), U+0000, which databases cannot store, and nesting deeper than 64 levels.
// Data above the bound is refused with [TooLarge].
func Canonical(name string, data []byte, most int) ([]byte, error) {
	return canonical(name, data, maxDepth, most)
}

// CanonicalBody is [Canonical] for a frame or a request's body: the data is one level within it, and its fields are named
// by themselves. The caller bounds its size.
func CanonicalBody(body []byte) ([]byte, error) { return canonical("", body, maxDepth+1, 0) }

func canonical(name string, data []byte, deepest, most int) ([]byte, error) {
	r := readings.Get().(*reading)
	defer r.done()
	r.name, r.data, r.deepest = name, data, deepest
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return nil, r.refuse("it begins with a byte order mark")
	}
	r.skip()
	if err := r.value(); err != nil {
		return nil, err
	}
	end := r.at
	for r.at < len(data) && isBlank(data[r.at]) {
		r.at++
	}
	if r.at < len(data) {
		return nil, r.refuse("something follows the JSON")
	}
	whole := data[r.kept:end]
	if r.out != nil {
		whole = append(r.out, whole...)
	}
	if most > 0 && len(whole) > most {
		refusal := Refuse(TooLarge, "%d bytes, at most %d are taken", len(whole), most)
		refusal.Field = name
		return nil, refusal
	}
	return whole, nil
}

// reading is one pass over a piece of JSON.
type reading struct {
	name    string
	data    []byte
	at      int
	out     []byte // what was written so far; nil while it is a part of data
	kept    int    // from here to at is to be written as it is
	deepest int
	path    []step   // of what is read
	keys    [][]byte // of all open objects, the innermost last
}

// step is one level of a path.
type step struct {
	array bool
	index int
	key   []byte // as it is written; nil before the first
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// done gives the reading back. It holds no data then.
func (r *reading) done() {
	clear(r.keys)
	clear(r.path)
	*r = reading{path: r.path[:0], keys: r.keys[:0]}
	if cap(r.keys) <= 1024 {
		readings.Put(r)
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// skip leaves out blanks.
func (r *reading) skip() {
	from := r.at
	for r.at < len(r.data) && isBlank(r.data[r.at]) {
		r.at++
	}
	if r.at > from {
		r.replace(from, "")
	}
}

// replace writes text instead of what lies between from and at.
func (r *reading) replace(from int, text string) {
	if from > r.kept || r.out != nil || text != "" {
		if r.out == nil {
			r.out = make([]byte, 0, len(r.data))
		}
		r.out = append(append(r.out, r.data[r.kept:from]...), text...)
	}
	r.kept = r.at
}

// next is the byte to be read, 0 at the end.
func (r *reading) next() byte {
	if r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

// token passes blanks and returns the byte after them, which is not read yet.
func (r *reading) token() byte {
	c := r.next()
	if c <= ' ' {
		r.skip()
		c = r.next()
	}
	return c
}

func (r *reading) value() error {
	switch c := r.next(); c {
	case '{':
		return r.object()
	case '[':
		return r.array()
	case '"':
		_, err := r.text()
		return err
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case 'n':
		return r.word("null")
	default:
		if c == '-' || isDigit(c) {
			return r.number()
		}
	}
	return r.broken()
}

func (r *reading) word(word string) error {
	if len(r.data)-r.at < len(word) || string(r.data[r.at:r.at+len(word)]) != word {
		return r.broken()
	}
	r.at += len(word)
	return nil
}

func (r *reading) enter(s step) error {
	if len(r.path) == r.deepest {
		return r.refuse("nested deeper than 64 levels")
	}
	r.path = append(r.path, s)
	r.at++
	return nil
}

func (r *reading) array() error {
	if err := r.enter(step{array: true}); err != nil {
		return err
	}
	here := len(r.path) - 1
	var err error
	for more := r.token() != ']'; more; r.path[here].index++ {
		if err = r.value(); err != nil {
			return err
		}
		if more, err = r.more(']'); err != nil {
			return err
		}
	}
	r.at++
	r.path = r.path[:here]
	return nil
}

// more reads the comma before another element, or finds the end.
func (r *reading) more(end byte) (bool, error) {
	switch r.token() {
	case end:
		return false, nil
	case ',':
		r.at++
		r.token()
		return true, nil
	}
	return false, r.broken()
}

func (r *reading) object() error {
	if err := r.enter(step{}); err != nil {
		return err
	}
	here, first := len(r.path)-1, len(r.keys)
	var err error
	for more := r.token() != '}'; more; {
		if err = r.member(here); err != nil {
			return err
		}
		if more, err = r.more('}'); err != nil {
			return err
		}
	}
	r.at++
	if twice := repeated(r.keys[first:]); twice != nil {
		r.path[here].key = twice
		return r.refuse("it is there twice")
	}
	clear(r.keys[first:])
	r.keys, r.path = r.keys[:first], r.path[:here]
	return nil
}

// member reads a name and its value.
func (r *reading) member(here int) error {
	if r.next() != '"' {
		return r.broken()
	}
	from := r.at + 1
	escaped, err := r.text()
	if err != nil {
		return err
	}
	key := r.data[from : r.at-1]
	r.path[here].key = key
	if escaped {
		key = unescape(key)
	}
	r.keys = append(r.keys, key)
	if r.token() != ':' {
		return r.broken()
	}
	r.at++
	r.token()
	return r.value()
}

func (r *reading) broken() error {
	if r.at >= len(r.data) {
		return r.refuse("it is not JSON: it ends too early")
	}
	return r.refuse("it is not JSON")
}

// refuse names what is read by its path.
func (r *reading) refuse(text string) error {
	var b strings.Builder
	b.WriteString(r.name)
	for _, s := range r.path {
		if b.Len() > maxMessage/2 {
			b.WriteString("…")
			break
		}
		s.write(&b)
	}
	refusal := Refuse(InvalidJSON, "%s", text)
	if refusal.Field = b.String(); refusal.Field != "" {
		refusal.Message = refusal.Field + ": " + text
	}
	return refusal
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// plain are the bytes of a string that stand for themselves and are whole characters.
var plain = func() (table [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()
