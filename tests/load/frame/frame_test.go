package frame

import (
	"bytes"
	"testing"
)

// sizes cross both borders of the length's encoding.
var sizes = []int{0, 1, 125, 126, 127, 65535, 65536, 70000}

func TestCutWhatAServerWrote(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		want := bytes.Repeat([]byte("x"), size)
		data := AppendServer(nil, Text, want)
		for _, short := range []int{0, 1, len(data) - 1} {
			if _, _, taken := Cut(data[:min(short, len(data)-1)]); taken != 0 {
				t.Errorf("%d bytes of payload: a part of %d is taken for whole", size, short)
			}
		}
		opcode, payload, taken := Cut(append(data, "next"...))
		if opcode != Text || !bytes.Equal(payload, want) || taken != len(data) {
			t.Errorf("%d bytes of payload: got opcode %d, %d bytes, size %d", size, opcode, len(payload), taken)
		}
	}
}

func TestCutWhatAClientWrote(t *testing.T) {
	t.Parallel()
	for _, size := range sizes {
		want := bytes.Repeat([]byte("x"), size)
		data := Append(nil, Binary, want)
		if _, _, taken := CutClient(data[:len(data)-1]); taken != 0 {
			t.Errorf("%d bytes of payload: a part is taken for whole", size)
		}
		if opcode, payload, taken := CutClient(data); opcode != Binary || !bytes.Equal(payload, want) || taken != len(data) {
			t.Errorf("%d bytes of payload: got opcode %d, %d bytes, size %d", size, opcode, len(payload), taken)
		}
	}
}

func TestCutClientUnmasks(t *testing.T) {
	t.Parallel()
	// The example of RFC 6455, section 5.7.
	data := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	if _, payload, _ := CutClient(data); string(payload) != "Hello" {
		t.Errorf("got %q", payload)
	}
}

func FuzzCut(f *testing.F) {
	f.Add(AppendServer(nil, Text, []byte("hello")))
	f.Add([]byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, payload, size := Cut(data); size > len(data) || len(payload) > size {
			t.Errorf("size %d, payload %d of %d bytes", size, len(payload), len(data))
		}
		if _, payload, size := CutClient(data); size > len(data) || len(payload) > size {
			t.Errorf("size %d, payload %d of %d bytes", size, len(payload), len(data))
		}
	})
}

func BenchmarkCut(b *testing.B) {
	data := bytes.Repeat(AppendServer(nil, Text, bytes.Repeat([]byte("x"), 200)), 64)
	for b.Loop() {
		for rest := data; len(rest) > 0; {
			_, _, size := Cut(rest)
			rest = rest[size:]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/frame")
}
