// Package bridge speaks to browsers: it answers "spoken to whom?".
//
// The shape of it, from the bus to the socket:
//
//	hub       what each channel holds and how far each reader has come, see there
//	session   one browser: reads frames, asks the bus, owns nothing that grows while it is slow
//	netpoll   waits for all TCP sockets at once, on Linux; a pool of workers serves those that have something to read
//
// Delivery is pulled, not pushed. A fact is appended to its channel once; the
// flushers then move every cursor forward and write what lies between. A slow
// browser's cursor simply stays behind; when the ring has moved on, a durable
// channel is caught up by pages from its stream, the same way a returning
// browser is. So there is one path for live, replay and recovery, memory does
// not grow with slowness, and order within a channel cannot break.
//
// Imports: the dialects, schemas and subjects; never services. Only this package
// imports Fiber.
package bridge
