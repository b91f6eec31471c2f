// Package console holds the start page: a chat, a map and a connection that can be cut, to show a newcomer within
// a minute what Latido does. It talks to the bridge as any page would, through the client at sdk/latido.js, and
// loads nothing from anywhere else. Every address is relative, so that it works under any path.
//
// The script is committed as one bundle. `go generate ./bridge/console` makes it anew from src with the esbuild of
// go.mod.
//
// Imports: the standard library only.
package console

import (
	"embed"
	"io/fs"
)

//go:generate go tool esbuild src/start.ts --bundle --minify --format=esm --target=es2022 --alias:latido=./sdk/latido.js --external:./sdk/* --tsconfig-raw={} --log-level=warning --outfile=page/start.js

//go:embed page
var page embed.FS

// Files are the page, its script and its style: index.html, start.js, start.css.
func Files() fs.FS {
	files, err := fs.Sub(page, "page")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}
