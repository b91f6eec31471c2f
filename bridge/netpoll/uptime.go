package netpoll

import "time"

var began = time.Now()

// Uptime is for how long this process has run: unlike the time of day it never
// jumps.
func Uptime() time.Duration { return time.Since(began) }
