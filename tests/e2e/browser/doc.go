// Package browser answers "does a person see it?": a real Chromium opens the start page of a real stack as several
// visitors, one of them loses the network in the ways networks are lost, and what everybody saw is compared.
//
//	npm ci --prefix tests/e2e/browser
//	go test ./tests/e2e/browser
//
// It needs Chromium ($CHROMIUM, or /usr/bin/chromium), Node and playwright-core, and is skipped without them unless
// LATIDO_BROWSER=required. Pictures of the page are left in artifacts.
package browser
