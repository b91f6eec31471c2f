package websocket_test

import (
	"fmt"
	"testing"

	"github.com/latido/latido/bridge/websocket"
)

// BenchmarkDeflate is paid once per message, however many get it.
func BenchmarkDeflate(b *testing.B) {
	for _, members := range []int{4, 40, 400} {
		var payload []byte
		for i := range members {
			payload = fmt.Appendf(payload, `{"user":"user-%d","ref":"%x","since":"2024-02-29T12:%02d:00Z"},`, i, i*7919, i%60)
		}
		b.Run(fmt.Sprintf("%dB", len(payload)), func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				size = len(websocket.Deflate(websocket.Text, payload))
			}
			b.ReportMetric(float64(size), "packed")
		})
	}
}
