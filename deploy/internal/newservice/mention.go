package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
)

// errPlace is wrapped when a file has no place for a line any more.
var errPlace = errors.New("no place for a line")

// mention returns the files that name every service with one line more each.
func mention(root string, s service) (map[string][]byte, error) {
	changed := make(map[string][]byte)
	for path, change := range map[string]func([]byte) ([]byte, error){
		"subjects/catalog.go": func(text []byte) ([]byte, error) {
			return appendTo(text, "Catalog", fmt.Sprintf(
				"%[1]q: {Name: %[1]q, About: \"%[2]s: one subject per %[1]s\", Owner: %[1]q, Durability: Durable, Stream: %[3]q, Read: SignedIn},\n",
				s.Name, s.Type, s.Stream))
		},
		"deploy/stack/parts.go": func(text []byte) ([]byte, error) {
			text, err := appendTo(text, "services", fmt.Sprintf("{Name: %[1]q, About: \"%[2]s.\", run: %[1]s.Run},\n", s.Name, s.Type))
			if err != nil {
				return nil, err
			}
			return before(text, "\t\"github.com/latido/latido/services/tracking\"\n", fmt.Sprintf("\t\"github.com/latido/latido/services/%s\"\n", s.Name))
		},
		"README.md": func(text []byte) ([]byte, error) {
			return before(text, "| `app:{any name}`", fmt.Sprintf("| `%[1]s:{id}` | %[2]s | for good | anyone signed in | %[1]s: `open` `close` |\n", s.Name, s.Stream))
		},
	} {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err == nil {
			text, err = change(text)
		}
		if err == nil && filepath.Ext(path) == ".go" {
			text, err = format.Source(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		changed[path] = text
	}
	return changed, nil
}

// before puts a line in front of the first one that begins so.
func before(text []byte, begins, line string) ([]byte, error) {
	at := bytes.Index(text, []byte("\n"+begins))
	if at < 0 {
		return nil, fmt.Errorf("%w: nothing begins with %q", errPlace, begins)
	}
	return bytes.Join([][]byte{text[:at+1], []byte(line), text[at+1:]}, nil), nil
}

// appendTo puts an element at the end of a package's variable, a map or a slice.
func appendTo(text []byte, variable, element string) ([]byte, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for node := range ast.Preorder(parsed) {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != variable || len(spec.Values) == 0 {
			continue
		}
		if literal, ok := spec.Values[0].(*ast.CompositeLit); ok {
			end := int(literal.Rbrace - parsed.FileStart)
			return bytes.Join([][]byte{text[:end], []byte(element), text[end:]}, nil), nil
		}
	}
	return nil, fmt.Errorf("%w: no list %s", errPlace, variable)
}
