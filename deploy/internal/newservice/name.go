package main

import (
	"errors"
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/latido/latido/deploy/stack"
	"github.com/latido/latido/subjects"
)

// errName is wrapped when a service cannot have a name.
var errName = errors.New("not a name for a service")

// word is what can be a Go package, a folder, a kind of channel, and in capitals a
// stream and an account.
var word = regexp.MustCompile(`^[a-z][a-z0-9]{1,19}$`)

// taken are names that mean something else in the files that a service is named in.
var taken = []string{
	"app", "edge", "hub", "sys", "operator", "route", "nats", // accounts, users and streams
	"context", "slices", "slog", "identity", "schemas", "subjects", "es", "estest", "bustest", "testing", // imports
	"decide", "evolve", "decider", "opened", "shut", "forbidden", "close", "string", "error", "nil", "main", // identifiers
}

// checkName refuses names that something goes by already.
func checkName(root, name string) error {
	switch {
	case !word.MatchString(name):
		return fmt.Errorf("%w: %q is not 2 to 20 small letters and digits", errName, name)
	case token.IsKeyword(name), slices.Contains(taken, name), slices.Contains(stack.Parts(), name):
		return fmt.Errorf("%w: %q means something else already", errName, name)
	}
	for kind, of := range subjects.Catalog {
		if kind == name || of.Stream == strings.ToUpper(name) {
			return fmt.Errorf("%w: %q is what channels of kind %s go by", errName, name, kind)
		}
	}
	for _, folder := range []string{"services", "schemas"} {
		if _, err := os.Stat(filepath.Join(root, folder, name)); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: there is %s/%s", errName, folder, name)
		}
	}
	return nil
}
