// Package stamp marks a payload with its number in its channel and the time at
// which it was sent, in a form that is found and read in a few nanoseconds and
// that every server passes on untouched: a tilde and 24 digits.
//
// Imports: the standard library.
package stamp

import "encoding/binary"

// Mark begins a stamp. Nothing else in the traffic of a run contains it.
const Mark = '~'

// Size is the length of a stamp.
const Size = 1 + 3*8

// Append appends a stamp. The number is below 10⁸; at counts nanoseconds since
// the run began, below 10¹⁶.
func Append(dst []byte, number uint32, at int64) []byte {
	dst = append(dst, Mark)
	dst = append8(dst, uint64(number))
	dst = append8(dst, uint64(at)/1e8)
	return append8(dst, uint64(at)%1e8)
}

// Parse reads the stamp at the front of data.
func Parse(data []byte) (number uint32, at int64, ok bool) {
	if len(data) < Size || data[0] != Mark {
		return 0, 0, false
	}
	return uint32(parse8(data[1:])), int64(parse8(data[9:])*1e8 + parse8(data[17:])), true
}

func append8(dst []byte, v uint64) []byte {
	var digits [8]byte
	for i := 7; i >= 0; i-- {
		digits[i] = '0' + byte(v%10)
		v /= 10
	}
	return append(dst, digits[:]...)
}

// parse8 reads eight digits at once: pairs, then fours, then all eight are
// combined within one machine word.
func parse8(data []byte) uint64 {
	v := binary.LittleEndian.Uint64(data)
	v = (v & 0x0F0F0F0F0F0F0F0F) * (10<<8 + 1) >> 8
	v = (v & 0x00FF00FF00FF00FF) * (100<<16 + 1) >> 16
	return (v & 0x0000FFFF0000FFFF) * (10000<<32 + 1) >> 32
}
