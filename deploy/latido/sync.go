package main

import (
	"fmt"
	"time"
)

// syncPolicy is the setting --sync: the word always, which is 0, or a duration.
type syncPolicy time.Duration

// UnmarshalText reads what a user wrote.
func (s *syncPolicy) UnmarshalText(text []byte) error {
	if string(text) == "always" {
		*s = 0
		return nil
	}
	interval, err := time.ParseDuration(string(text))
	if err != nil || interval <= 0 {
		return fmt.Errorf("%q is neither always nor a duration such as 2m", text)
	}
	*s = syncPolicy(interval)
	return nil
}

func (s syncPolicy) String() string {
	if s == 0 {
		return "always"
	}
	return time.Duration(s).String()
}
