// Package presence holds the types of what users, groups and bridges say of who is there.
package presence

import "time"

// Waits is for how long the session may come back, from when the entry was written; 0
// means that it is there.
func (e Entry) Waits() time.Duration {
	if e.Grace == nil {
		return 0
	}
	return time.Duration(*e.Grace * float64(time.Second))
}

// Wait returns the entry as one whose session may come back for a while.
func (e Entry) Wait(grace time.Duration) Entry {
	seconds := grace.Seconds()
	e.Grace = &seconds
	return e
}
