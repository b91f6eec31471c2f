package native_test

import (
	"testing"

	"github.com/latido/latido/bridge/native"
)

// BenchmarkDecode is what a publish costs before it goes anywhere.
func BenchmarkDecode(b *testing.B) {
	frame := []byte(`{"id":17,"op":"publish","channel":"room:42","event":"new_message","key":"01J9ZQ6Y8V4T3K2M1N0P","data":{"text":"a message of the length that people write to one another"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (native.Dialect{}).Decode(frame, false); err != nil {
			b.Fatal(err)
		}
	}
}
