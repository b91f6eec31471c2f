//go:build !linux

package bridge

import "time"

// line is not known here.
type line struct {
	acked  uint64
	silent time.Duration
}

func (*socket) line() line { return line{} }
