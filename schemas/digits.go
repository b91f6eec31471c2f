package schemas

import (
	"bytes"
	"math"
	"strconv"
)

// Digits spells the whole numbers within JSON in digits, as Go's integers are read: 1.0 becomes 1, and 1e3 becomes 1000. For
// JSON Schema all of them are integers (2020-12, section 4.2.3). A number with a fraction, or of more than 53 bits, stays as it
// is. It returns data itself when there is nothing to change; what is no JSON is still none then.
func Digits(data []byte) []byte {
	var out []byte
	kept := 0 // what lies before is written
	for at := 0; at < len(data); {
		from := at
		switch c := data[at]; {
		case c == '"':
			at = textEnd(data, at)
		case c == '-' || isDigit(c):
			at = numberEnd(data, at)
			if whole, ok := spelledWhole(data[from:at]); ok {
				out = strconv.AppendInt(append(out, data[kept:from]...), whole, 10)
				kept = at
			}
		default:
			at++
		}
	}
	if kept == 0 {
		return data
	}
	return append(out, data[kept:]...)
}

// textEnd is where the string that begins at a place is over.
func textEnd(data []byte, at int) int {
	for at++; at < len(data); at++ {
		switch data[at] {
		case '\\':
			at++
		case '"':
			return at + 1
		}
	}
	return len(data)
}

func numberEnd(data []byte, at int) int {
	for at < len(data) && (isDigit(data[at]) || bytes.IndexByte([]byte("+-.eE"), data[at]) >= 0) {
		at++
	}
	return at
}

// spelledWhole is the value of a whole number that is not written in digits alone.
func spelledWhole(number []byte) (whole int64, ok bool) {
	if !bytes.ContainsAny(number, ".eE") {
		return 0, false
	}
	value, err := strconv.ParseFloat(string(number), 64)
	if err != nil || value != math.Trunc(value) || math.Abs(value) >= 1<<53 {
		return 0, false
	}
	return int64(value), true
}
