//go:build !linux

package netpoll

import "time"

// Line is not known here.
type Line struct {
	Acked  uint64
	Silent time.Duration
}

// Line knows nothing.
func (*Socket) Line() Line { return Line{} }
