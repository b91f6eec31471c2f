package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
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

// reserved are accounts, users and streams of the bus that are no service's, and folders
// and packages in which Go sees something else.
var reserved = []string{
	"app", "edge", "hub", "sys", "operator", "route",
	"main", "init", "internal", "vendor", "testdata", "documentation",
}

// checkName refuses names that something goes by already.
func checkName(root, name string) error {
	switch {
	case !word.MatchString(name):
		return fmt.Errorf("%w: %q is not 2 to 20 small letters and digits", errName, name)
	case token.IsKeyword(name), types.Universe.Lookup(name) != nil, slices.Contains(reserved, name), slices.Contains(stack.Parts(), name):
		return fmt.Errorf("%w: %q means something else already", errName, name)
	}
	for kind, of := range subjects.Catalog {
		if kind == name || of.Stream == strings.ToUpper(name) {
			return fmt.Errorf("%w: %q is what channels of kind %s go by", errName, name, kind)
		}
	}
	used, err := identifiers(root)
	if err != nil {
		return err
	}
	if used[name] {
		return fmt.Errorf("%w: the Go files call something else %q", errName, name)
	}
	for _, folder := range []string{"services", "schemas"} {
		if _, err := os.Stat(filepath.Join(root, folder, name)); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%w: there is %s/%s", errName, folder, name)
		}
	}
	return nil
}

// identifiers are the names in the Go files that import a service or its schemas, of
// which the package's must be none.
func identifiers(root string) (map[string]bool, error) {
	texts, err := called("nameless").files()
	if err != nil {
		return nil, err
	}
	if texts["parts.go"], err = os.ReadFile(filepath.Join(root, "deploy", "stack", "parts.go")); err != nil {
		return nil, err
	}
	used := make(map[string]bool)
	for path, text := range texts {
		if filepath.Ext(path) != ".go" {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for node := range ast.Preorder(parsed) {
			if identifier, ok := node.(*ast.Ident); ok {
				used[identifier.Name] = true
			}
		}
	}
	return used, nil
}
