// Package bridge speaks to browsers: it answers "spoken to whom?". It assembles a
// node of its rooms, knows whether it is healthy, and drains it.
//
//	api        HTTP: routes, pages, the upgrade
//	session    one browser: requests, access, presence, registry
//	hub        what a channel holds and who has seen it
//	netpoll    sockets, poller, workers
//	admission  what each request costs its caller, whichever door it comes through
//	wire       what every dialect means;  native  the dialect of our own;  websocket  RFC 6455
//	sdk        the client in TypeScript;  console  the pages
//
// Imports go one way, api → session → hub → netpoll; the others import none of these.
//
// Delivery is pulled, not pushed. A fact is appended to its channel once; the
// flushers then move every cursor forward and write what lies between. A slow
// browser's cursor simply stays behind; when the ring has moved on, a durable
// channel is caught up by pages from its stream, the same way a returning
// browser is. So there is one path for live, replay and recovery, memory does
// not grow with slowness, and order within a channel cannot break.
//
// Imports: the dialects, schemas and subjects; never services.
package bridge
