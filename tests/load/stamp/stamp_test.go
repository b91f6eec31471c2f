package stamp

import "testing"

func TestParseIsTheInverseOfAppend(t *testing.T) {
	t.Parallel()
	for _, number := range []uint32{0, 1, 9, 10, 12345678, 99999999} {
		for _, at := range []int64{0, 1, 99999999, 100000000, 1234567890123456, 9999999999999999} {
			data := Append(nil, number, at)
			if len(data) != Size {
				t.Fatalf("%s has %d bytes", data, len(data))
			}
			gotNumber, gotAt, ok := Parse(append(data, "more"...))
			if gotNumber != number || gotAt != at || !ok {
				t.Errorf("%s is read as %d, %d, %v", data, gotNumber, gotAt, ok)
			}
		}
	}
}

func TestParseRefusesWhatIsNoStamp(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "~", "~00000000000000000000000", "x000000000000000000000000"} {
		if _, _, ok := Parse([]byte(text)); ok {
			t.Errorf("%q is taken for a stamp", text)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	data := Append(nil, 12345678, 1234567890123456)
	for b.Loop() {
		Parse(data)
	}
}
