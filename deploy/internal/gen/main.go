// Command gen writes what the files of the containers say of each service, which
// deploy/stack lists: its account in nats/users.conf, its container in compose.yaml.
// Everything outside the marked sections of these files is the operator's.
package main

import (
	"flag"
	"log"
	"os"
	"path/filepath"
)

// files are those with sections, below deploy.
var files = []string{"compose.yaml", "nats/users.conf"}

func main() {
	log.SetFlags(0)
	log.SetPrefix("gen: ")
	root := flag.String("root", ".", "the folder deploy")
	flag.Parse()
	for _, name := range files {
		if err := rewrite(filepath.Join(*root, name)); err != nil {
			log.Fatal(err)
		}
	}
}

func rewrite(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fresh, err := fill(text)
	if err != nil {
		return err
	}
	return os.WriteFile(path, fresh, 0o644)
}
