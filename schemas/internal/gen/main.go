// Command gen makes from the JSON Schemas of this folder what programs compile against: Go types, TypeScript types, codes.
//
// The Go types are made here and not by go-jsonschema, which names a body that is a $ref not at all, turns an empty
// object into a map and a constant into an interface{}, hides free-form JSON in interface{} (the bridge passes it on as
// it came) and sorts the fields by name. The TypeScript types come from json-schema-to-typescript, which needs npm.
package main

import (
	"context"
	"flag"
	"log"
	"maps"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	goOnly := flag.Bool("go-only", false, "leave the TypeScript types as they are; npm is not needed")
	root := flag.String("root", ".", "the folder of the schemas")
	flag.Parse()
	if err := run(context.Background(), *root, *goOnly); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, root string, goOnly bool) error {
	outputs, err := goOutputs(root)
	if err != nil {
		return err
	}
	if !goOnly {
		typescript, err := typescriptOutputs(ctx, root)
		if err != nil {
			return err
		}
		maps.Copy(outputs, typescript)
	}
	for path, text := range outputs {
		if err := os.WriteFile(filepath.Join(root, path), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
