package main

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Validate refuses times that are none, and limits that would let nobody in. Kong
// calls it.
func (l *commandLine) Validate() error {
	if l.Drain <= 0 {
		return fmt.Errorf("--drain: %v is no time", l.Drain)
	}
	return l.limitFlags.Validate()
}

// Validate refuses limits that would let nobody in.
func (f limitFlags) Validate() error {
	limits := reflect.ValueOf(f)
	for i := range limits.NumField() {
		name := flagName(limits.Type().Field(i).Name)
		switch value := limits.Field(i).Interface().(type) {
		case int:
			if value < 1 {
				return fmt.Errorf("--%s: %d is less than 1", name, value)
			}
		case time.Duration:
			if value <= 0 {
				return fmt.Errorf("--%s: %v is no time", name, value)
			}
		}
	}
	switch {
	case f.Grace > longest:
		return fmt.Errorf("--grace: %v is more than %v", f.Grace, longest)
	case f.Ping > longest:
		return fmt.Errorf("--ping: %v is more than %v", f.Ping, longest)
	case f.Handshake > longest:
		return fmt.Errorf("--handshake: %v is more than %v", f.Handshake, longest)
	case f.Away <= f.Idle:
		return fmt.Errorf("--away: %v is not longer than --idle, %v", f.Away, f.Idle)
	}
	return nil
}

// longest bounds how long the bridge waits for somebody who may be gone: whoever is
// waited for longer only seems to be there.
const longest = time.Hour

var upper = regexp.MustCompile(`[A-Z]`)

// flagName is how kong calls the flag of a field: MaxFrame is max-frame.
func flagName(field string) string {
	return strings.TrimPrefix(strings.ToLower(upper.ReplaceAllString(field, "-$0")), "-")
}
