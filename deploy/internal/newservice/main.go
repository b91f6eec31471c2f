// Command newservice lays out a service that opens and closes channels of one kind:
// its schemas, its deciding, its tests, and a line each in the catalog, the list of
// services and the README. What it writes builds and its tests pass once `go generate`
// has run; then it is its author's to change.
package main

import (
	"log"
	"os"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("newservice: ")
	if len(os.Args) != 2 {
		log.Fatal("give the name of the service, as poll")
	}
	written, err := layOut(".", os.Args[1])
	for _, path := range written {
		log.Print(path)
	}
	if err != nil {
		log.Fatal(err)
	}
}
