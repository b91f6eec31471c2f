// Package sdk holds the TypeScript client of the native dialect, and carries its bundle so that a bridge can
// serve it: a page needs one import and no package manager.
//
//	import { createClient } from "/sdk/latido.js";
//
// The bundle is committed. `go generate ./bridge/sdk` makes it anew from src with the esbuild of go.mod; Node is
// needed only to check types and to run the client's own tests (`npm ci && npm run check && npm test`).
//
// Imports: the standard library only.
package sdk

import (
	"embed"
	"io/fs"
)

//go:generate go tool esbuild src/index.ts --bundle --minify --format=esm --target=es2022 --sourcemap --tsconfig-raw={} --log-level=warning --outfile=dist/latido.js

//go:embed dist
var dist embed.FS

// Files are latido.js, an ES module, and its source map latido.js.map.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	return files
}
